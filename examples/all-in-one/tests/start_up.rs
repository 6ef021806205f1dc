//! Tests of start-up errors. They also make cargo build the program for the end-to-end scenarios.
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

fn hearlers(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hearlers")).args(arguments).output().unwrap()
}

#[test]
fn a_taken_port_is_reported_and_no_file_is_created() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (at, data) = (taken.local_addr().unwrap().to_string(), std::env::temp_dir().join("hearlers-never-created"));
    let out = hearlers(&["--listen", &at, "--grpc", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
    let printed = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{printed}");
    assert!(printed.contains(&format!("--listen {at}")) && printed.lines().count() == 1, "{printed}");
    assert!(!data.exists());
}

#[test]
fn an_invalid_address_is_refused_with_its_flag() {
    let out = hearlers(&["--grpc", "nowhere"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("--grpc"));
}

/// Starts the program on a data folder until it runs, and kills it.
fn start_on(data: &Path) {
    let ports = ["--listen", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--data"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearlers"));
    let mut running = command.args(ports).arg(data).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let printed = BufReader::new(running.stdout.take().unwrap()).lines();
    let runs = printed.map_while(Result::ok).any(|line| line.contains("Hearlers is running"));
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(runs, "the program did not start");
}

#[test]
fn other_users_cannot_read_the_data_folder_even_one_that_they_could_read_before() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for round in ["created", "started again"] {
        start_on(&data);
        for path in [data.clone(), data.join("keys")] {
            assert_eq!(mode(&path), 0o700, "{round}: {}", path.display());
            let is_file = |path: &Path| path.is_file();
            for file in fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).filter(|path| is_file(path)) {
                assert_eq!(mode(&file) & 0o077, 0, "{round}: {}", file.display());
            }
        }
        assert!(!data.join("session-key").exists(), "a key lies beside the data");
        // As after a copy by a tool that drops permissions.
        fs::set_permissions(&data, fs::Permissions::from_mode(0o777)).unwrap();
        fs::set_permissions(data.join("keys/session-key"), fs::Permissions::from_mode(0o644)).unwrap();
    }
}

/// Starts the program on a data folder, and returns it with the link for the administrator, if it prints one.
fn start_with(data: &Path, flags: &[&str]) -> (Child, String, Option<String>) {
    let ports = ["--listen", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--data"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearlers"));
    let command = command.args(ports).arg(data).args(flags).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = command.spawn().unwrap();
    let mut printed = BufReader::new(running.stdout.take().unwrap()).lines().map_while(Result::ok);
    let lines: Vec<_> = printed.by_ref().take_while(|line| !line.contains("Press Ctrl-C")).collect();
    let after = |start: &str| lines.iter().find_map(|line| line.trim().strip_prefix(start).map(str::to_owned));
    let address = after("page and REST  http://").expect("the program did not start");
    let link = after(&format!("http://{address}/v1/auth/admin"));
    (running, address, link)
}
/// Opens a path and returns the response.
fn get(address: &str, path: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    write!(connection, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn the_first_start_prints_a_link_that_makes_one_administrator() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (mut first, address, link) = start_with(&data, &[]);
    let path = format!("/v1/auth/admin{}", link.expect("the first start prints a link"));
    let made = get(&address, &path);
    let again = get(&address, &path);
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(made.starts_with("HTTP/1.1 302") && made.contains("accessToken="), "{made}");
    assert!(again.starts_with("HTTP/1.1 401") && again.contains("ADMIN_LINK_INVALID"), "{again}");

    let (mut second, _, link) = start_with(&data, &[]);
    second.kill().unwrap();
    second.wait().unwrap();
    assert_eq!(link, None, "there is an administrator");
    let (mut third, _, link) = start_with(&data, &["--admin"]);
    third.kill().unwrap();
    third.wait().unwrap();
    assert!(link.is_some_and(|link| !path.ends_with(&link)), "another link");
}
