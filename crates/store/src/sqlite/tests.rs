//! The contract, restarts, and files that are not as they should be.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::*;

fn open(path: &Path) -> SqliteStore {
    let settings = Settings {
        poll: Duration::from_millis(20),
        ..Settings::default()
    };
    SqliteStore::open(path, &settings).expect("the store opens")
}

fn refusal(path: &Path) -> String {
    SqliteStore::open(path, &Settings::default())
        .expect_err("the store must not open")
        .to_string()
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    (directory, path)
}

#[tokio::test]
async fn keeps_the_contract() {
    let directory = tempfile::tempdir().expect("a directory");
    let count = std::cell::Cell::new(0);
    crate::contract::check(|| {
        count.set(count.get() + 1);
        let path = directory.path().join(format!("{}.db", count.get()));
        (Arc::new(open(&path)), Arc::new(open(&path)))
    })
    .await;
}

#[tokio::test]
async fn documents_survive_a_restart() {
    let (_directory, path) = place();
    let version = open(&path)
        .put_if_version("keys", None, b"sealed".to_vec())
        .await
        .expect("put");
    let found = open(&path).get("keys").await.expect("get").expect("the document");
    assert_eq!((found.version, found.body), (version, b"sealed".to_vec()));
}

#[tokio::test]
async fn nobody_else_may_read_the_files() {
    let (directory, path) = place();
    fs::write(&path, b"").expect("an empty file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("permissions");
    let store = open(&path);
    store.put_if_version("a", None, b"1".to_vec()).await.expect("put");
    let mut count = 0;
    for entry in fs::read_dir(directory.path()).expect("the directory") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
        count += 1;
    }
    assert!(count > 1, "the write-ahead log is there, too");
}

#[test]
fn directories_are_made_for_the_owner_alone() {
    let (directory, _) = place();
    let path = directory.path().join("new/state.db");
    drop(open(&path));
    let mode = fs::metadata(directory.path().join("new"))
        .expect("metadata")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_damaged_file_is_named_with_what_to_do() {
    let (_directory, path) = place();
    fs::write(
        &path,
        b"this is no database, but long enough to be taken for one".repeat(40),
    )
    .expect("a file");
    let told = refusal(&path);
    assert!(told.contains(path.to_str().expect("a path")), "{told}");
    assert!(told.contains("damaged") && told.contains("move it away"), "{told}");
}

#[tokio::test]
async fn a_file_that_is_damaged_in_the_middle_is_noticed_when_opened() {
    let (_directory, path) = place();
    let store = open(&path);
    for at in 0..50 {
        let body = vec![7; 3000];
        store
            .put_if_version(&format!("key {at}"), None, body)
            .await
            .expect("put");
    }
    store
        .ask(|connection| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())))
        .await
        .expect("a checkpoint");
    drop(store);
    let mut bytes = fs::read(&path).expect("the file");
    let middle = bytes.len() / 2;
    for byte in bytes.iter_mut().skip(middle).take(9000) {
        *byte = 0x5a;
    }
    fs::write(&path, bytes).expect("damage");
    for beside in ["state.db-wal", "state.db-shm"] {
        let _ = fs::remove_file(path.with_file_name(beside));
    }
    assert!(refusal(&path).contains("damaged"));
}

#[test]
fn another_programs_database_is_left_alone() {
    let (_directory, path) = place();
    let other = Connection::open(&path).expect("a database");
    other.execute("CREATE TABLE theirs (a)", []).expect("a table");
    drop(other);
    assert!(refusal(&path).contains("not a state file of Portico"));
}

#[test]
fn a_newer_format_is_not_touched() {
    let (_directory, path) = place();
    drop(open(&path));
    let other = Connection::open(&path).expect("a database");
    other.pragma_update(None, "user_version", 99).expect("a version");
    drop(other);
    assert!(refusal(&path).contains("newer Portico (format 99)"));
}

#[test]
fn a_place_that_cannot_be_written_is_named_with_what_to_do() {
    let (directory, _) = place();
    let blocked = directory.path().join("file");
    fs::write(&blocked, b"").expect("a file");
    // Not even the superuser may write to the last two.
    for path in [
        blocked.join("state.db"),
        directory.path().to_owned(),
        "/proc/self/state.db".into(),
    ] {
        let told = refusal(&path);
        assert!(told.contains(path.to_str().expect("a path")), "{told}");
        assert!(told.contains("state.path"), "{told}");
    }
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_loses_nothing() {
    let (_directory, path) = place();
    let settings = Settings {
        pages: Some(8),
        ..Settings::default()
    };
    let store = SqliteStore::open(&path, &settings).expect("the store opens");
    let version = store.put_if_version("a", None, b"1".to_vec()).await.expect("put");
    let full = store.put_if_version("a", Some(version), vec![0; 1_000_000]).await;
    let Err(StoreError::Failed(why)) = full else {
        panic!("a full disk must be an error: {full:?}")
    };
    assert!(why.contains("free some space"), "{why}");
    let found = store.get("a").await.expect("get").expect("the document");
    assert_eq!((found.version, found.body), (version, b"1".to_vec()));
}

#[tokio::test]
async fn a_file_that_another_process_holds_is_an_error_after_a_while() {
    let (_directory, path) = place();
    let settings = Settings {
        busy: Duration::from_millis(20),
        ..Settings::default()
    };
    let store = SqliteStore::open(&path, &settings).expect("the store opens");
    let other = Connection::open(&path).expect("a database");
    other.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let answer = store.put_if_version("a", None, b"1".to_vec()).await;
    assert!(matches!(answer, Err(StoreError::Failed(why)) if why.contains("another process")));
    other.execute_batch("ROLLBACK").expect("unlock");
    store.put_if_version("a", None, b"1".to_vec()).await.expect("put");
}
