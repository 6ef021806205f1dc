//! Who may call what: the option `access` of each RPC in `proto/`, as a table.
use crate::v1::access::Access;

include!(concat!(env!("OUT_DIR"), "/access.rs"));

/// Returns who may call the RPC with this path, or `None` when the contract has no such RPC.
///
/// ```
/// use contracts::v1::access::Access;
///
/// assert_eq!(contracts::access_of("/com.hearlers.v1.service.UserService/UpdateUser"), Some(Access::Person));
/// assert_eq!(contracts::access_of("/com.hearlers.v1.service.UserService/DeleteUser"), None);
/// ```
pub fn access_of(path: &str) -> Option<Access> {
    let row = ACCESS.binary_search_by_key(&path, |(path, _)| path).ok()?;
    Access::try_from(ACCESS[row].1).ok()
}

/// Returns the path of each RPC with its callers, sorted by path.
pub fn rpcs() -> impl Iterator<Item = (&'static str, Access)> {
    ACCESS.iter().filter_map(|(path, number)| Some((*path, Access::try_from(*number).ok()?)))
}
