//! An import that is cut short and run again has imported everything once.

use testkit::poll;
use testkit::world::{create_client, create_tenant, token, verify};
use testkit::{Caller, Folder, Insula};

use crate::synthea;

/// Starts an import, and gives it and the server up once some of it is there.
fn part(server: &Insula, caller: &Caller, paths: &[&str], enough: u64) -> std::process::Child {
    // Small requests, so that there is something to cut between.
    let mut words = vec!["import", "--tenant", "clinic", "--batch", "200"];
    words.extend(paths);
    let mut import = server.spawn(&words);
    poll::until("some of the import", 120, || {
        let ended = import.try_wait().unwrap();
        assert!(
            ended.is_none(),
            "the import ended before it was cut short: {ended:?}"
        );
        let total = caller.search("Observation?_summary=count")["total"]
            .as_u64()
            .unwrap();
        (total >= enough).then_some(())
    });
    import
}

#[test]
fn an_import_cut_short_is_finished_by_the_next() {
    let Some(files) = synthea::files() else {
        return;
    };
    let files = &files[..24.min(files.len())];
    let paths: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    let folder = Folder::new("import");
    let setup = crate::world::setup(&folder.join("data"));
    let server = setup.start();
    create_tenant(&server, "clinic", &serde_json::json!({}));
    let (id, secret) = create_client(&server, "clinic", &["system/*.rs"]);
    let token = token(&server, "clinic", &id, &secret);
    let mut caller = Caller::of(&server, "clinic", Some(format!("Bearer {token}")));

    // The import is killed.
    let mut import = part(&server, &caller, &paths, 100);
    import.kill().unwrap();
    import.wait().unwrap();
    // The server is killed.
    let so_far = caller.search("Observation?_summary=count")["total"]
        .as_u64()
        .unwrap();
    let import = part(&server, &caller, &paths, so_far + 300);
    let setup = server.kill();
    let output = import.wait_with_output().unwrap();
    assert!(
        !output.status.success(),
        "an import without a server has failed"
    );

    let server = setup.start();
    server.address().clone_into(&mut caller.address);
    let mut words = vec!["import", "--tenant", "clinic"];
    words.extend(&paths);
    server.run(&words);
    let expected = synthea::recount(files);
    assert_eq!(synthea::counts(&caller, &expected), expected);
    // Once more changes nothing.
    server.run(&words);
    assert_eq!(synthea::counts(&caller, &expected), expected);
    verify(&server, "clinic");
}
