use super::*;

fn read(text: &str, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::read(
        text,
        env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
    )
}

#[test]
fn an_empty_file_gives_the_defaults() {
    assert_eq!(read("", &[("PATH", "/bin")]).unwrap(), Config::default());
}

#[test]
fn the_table_of_keys_gives_the_defaults_too() {
    let mut text = String::new();
    for key in KEYS.iter().filter(|k| !k.default.is_empty()) {
        let _ = writeln!(text, "{} = {}", key.name, key.default);
    }
    for (name, default, _) in Limits::TABLE {
        let _ = writeln!(text, "limits.{name} = {default}");
    }
    assert_eq!(read(&text, &[]).unwrap(), Config::default());
}

#[test]
fn the_environment_wins_over_the_file() {
    let config = read(
        "[auth]\naccess_token_seconds = 10\n[limits]\nbody_bytes_max = 5\n",
        &[
            ("INSULA_AUTH__ACCESS_TOKEN_SECONDS", "20"),
            ("INSULA_LISTEN", "127.0.0.1:9"),
            ("INSULA_ALLOWED_HOSTS", "[\"a.example\"]"),
            ("INSULA_AUDIT__MODE", "strict"),
        ],
    )
    .unwrap();
    assert_eq!(config.auth.access_token_seconds, 20);
    assert_eq!(config.limits.body_bytes_max, 5);
    assert_eq!(config.listen, "127.0.0.1:9");
    assert_eq!(config.allowed_hosts, ["a.example"]);
    assert_eq!(config.store().audit, AuditMode::Strict);
}

#[test]
fn unknown_keys_name_the_nearest() {
    let cases = [
        (
            "[limits]\nbody_byte_max = 1",
            "limits.body_byte_max",
            "limits.body_bytes_max",
        ),
        ("public_ulr = \"x\"", "public_ulr", "public_url"),
        (
            "[auth]\nacces_token_second = 1",
            "auth.acces_token_second",
            "auth.access_token_seconds",
        ),
        ("[tsl]\ncert = \"x\"", "tsl.cert", "tls.cert"),
    ];
    for (text, key, nearest) in cases {
        let wanted = ConfigError::Unknown {
            key: key.into(),
            nearest: nearest.into(),
        };
        assert_eq!(read(text, &[]).unwrap_err(), wanted);
    }
    assert!(matches!(
        read("", &[("INSULA_LIMITS__BODY_BYTE_MAX", "1")]),
        Err(ConfigError::Unknown { .. })
    ));
    let unlike = read("", &[("INSULA_LIMITS__FOO", "1")]).unwrap_err();
    let wanted = ConfigError::UnknownIn {
        key: "INSULA_LIMITS__FOO".into(),
        table: "limits".into(),
    };
    assert_eq!(unlike, wanted);
    assert!(unlike.to_string().contains("[limits]"));
}

#[test]
fn limits_without_which_nothing_is_served_are_not_0() {
    for name in Limits::NEEDED {
        let said = read(&format!("limits.{name} = 0"), &[]).unwrap_err();
        assert!(said.to_string().contains(name), "{said}");
        assert!(Limits::TABLE.iter().any(|(known, ..)| known == name));
        read(&format!("limits.{name} = 1"), &[]).unwrap();
    }
    for (name, default, about) in Limits::TABLE {
        let may = *default == 0 || about.contains("; 0") || about.contains(" 0 ");
        assert!(
            !(may && Limits::NEEDED.contains(name)),
            "0 means something for {name}"
        );
    }
}

#[test]
fn contradictions_are_refused() {
    for text in [
        "[tls]\ncert = \"a\"",
        "public_url = \"fhir.example.org\"",
        "domain = \"a/b\"",
        "[auth]\naccess_token_seconds = 0",
        "listen = 5",
        "[audit]\nmode = \"sometimes\"",
        "[audit]\nheads_syslog = true",
        "= 1",
    ] {
        assert!(read(text, &[]).is_err(), "{text}");
    }
}
