//! Tests of the connection settings: what is refused, and that passwords stay secret.
use super::{Config, ConfigError, TlsMode};
use crate::secret::Secret;

#[test]
fn parse_accepts_only_the_url_of_a_database() {
    for good in ["postgres://kim:a%20b@db:5432/users", "postgresql://[::1]/u", "postgres://%2Frun%2Fpg/users"] {
        assert!(Config::parse(good).is_ok_and(|config| config.validate().is_ok()), "{good}");
    }
    for bad in
        ["", "db", "mysql://db/users", "postgres://db", "postgres://db/", "postgres:///users", "postgres://db/u#x"]
    {
        assert_eq!(Config::parse(bad).unwrap_err(), ConfigError::Url, "{bad}");
    }
}

#[test]
fn an_unknown_parameter_is_refused_by_its_name() {
    // Parameters that the driver or libpq would accept, and parameters that would redirect the connection.
    for name in
        ["options", "host", "hostaddr", "port", "user", "password", "dbname", "sslcrl", "ssl-mode", "SSLMODE", ""]
    {
        let refused = Config::parse(&format!("postgres://kim:hunter2@db/users?{name}=hunter2")).unwrap_err();
        assert_eq!(refused, ConfigError::Unknown(name.to_owned()));
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
    }
    for mode in ["prefer", "allow", "verify", "hunter2", ""] {
        let refused = Config::parse(&format!("postgres://db/users?sslmode={mode}")).unwrap_err().to_string();
        assert!(refused.contains("verify-full") && !refused.contains("hunter2"), "{refused}");
    }
    let twice = Config::parse("postgres://db/users?sslmode=verify-full&sslmode=disable").unwrap_err();
    assert_eq!(twice, ConfigError::Twice("sslmode".to_owned()));
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let refused = |parameters: &str| {
        let config = Config::parse(&format!("postgres://kim:hunter2@db/users?{parameters}"));
        config.and_then(|config| config.validate()).unwrap_err()
    };
    assert!(matches!(refused("sslrootcert=/ca"), ConfigError::Value("sslmode", _)));
    assert!(matches!(refused("sslmode=require&sslrootcert=/ca"), ConfigError::Value("sslrootcert", _)));
    assert!(matches!(refused("sslcert=/c"), ConfigError::Value("sslcert", _)));
    assert!(matches!(refused("application_name=a%0Ab"), ConfigError::Value("application_name", _)));
    assert!(matches!(refused("pooling=statement"), ConfigError::Value("pooling", _)));
    let mut both = Config::parse("postgres://kim:hunter2@db/users").unwrap();
    both.password = Some(Secret::new("hunter2"));
    assert_eq!(both.validate(), Err(ConfigError::TwoPasswords));
    let mut both = Config::parse("postgres://kim@db/users").unwrap();
    (both.password, both.password_file) = (Some(Secret::new("hunter2")), Some("/nowhere/password".into()));
    assert_eq!(both.validate(), Err(ConfigError::TwoPasswords));
    both.password = None;
    assert!(matches!(both.validate(), Err(ConfigError::File(..))), "{:?}", both.validate());
}

#[test]
fn debug_output_never_shows_the_password() {
    let mut config = Config::parse("postgres://kim:hunter2@db/users").unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    config = Config::parse("postgres://kim@db/users").unwrap();
    config.password = Some(Secret::new("hunter2"));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn tls_requires_its_feature_and_its_files() {
    let config = Config::parse("postgres://db/users?sslmode=verify-full&sslrootcert=/nowhere/ca.pem").unwrap();
    assert_eq!(config.tls.mode, TlsMode::VerifyFull);
    let refused = config.validate().unwrap_err();
    match cfg!(feature = "postgres-tls") {
        true => assert!(matches!(refused, ConfigError::File(..)), "{refused}"),
        false => assert_eq!(refused, ConfigError::NoTls),
    }
}
