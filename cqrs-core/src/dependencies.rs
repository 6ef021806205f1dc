//! Dependencies that an application provides. Each is found by its type.
use std::{
    any::{Any, TypeId, type_name},
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

/// The provided dependencies, by type.
#[derive(Default)]
pub(crate) struct Provided(HashMap<TypeId, Box<dyn Any + Send + Sync>, BuildHasherDefault<TypeIdHasher>>);

impl Provided {
    pub(crate) fn insert<T: ?Sized + Send + Sync + 'static>(&mut self, dep: Arc<T>) {
        self.0.insert(TypeId::of::<T>(), Box::new(dep));
    }
    pub(crate) fn get<T: ?Sized + Send + Sync + 'static>(&self) -> Option<&Arc<T>> {
        self.0.get(&TypeId::of::<T>()).and_then(|found| found.downcast_ref())
    }
    pub(crate) fn has(&self, id: TypeId) -> bool {
        self.0.contains_key(&id)
    }
}

/// A hasher that returns the `TypeId` itself. It is already a hash; to hash it again would cost more than the look-up.
#[derive(Default)]
pub(crate) struct TypeIdHasher(u64);

impl Hasher for TypeIdHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash << 8 ^ hash >> 56 ^ u64::from(*byte));
    }
    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }
}

/// Returns the name of a type without the modules, as it stands in source code.
pub(crate) fn short_name<T: ?Sized>() -> String {
    let mut out = String::new();
    for part in type_name::<T>().split_inclusive(|c: char| !c.is_alphanumeric() && c != '_' && c != ':') {
        let end = part.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '_');
        out.push_str(end.rsplit("::").next().unwrap_or(end));
        out.push_str(&part[end.len()..]);
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn short_name_leaves_out_module_paths() {
        assert_eq!(super::short_name::<dyn std::fmt::Display>(), "dyn Display");
        assert_eq!(super::short_name::<Vec<Option<std::time::Duration>>>(), "Vec<Option<Duration>>");
    }
}
