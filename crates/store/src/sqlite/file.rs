//! The file itself: one table, opened with care. Everything in here blocks.

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use portico_core::state::Document;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};

use super::{OpenError, Settings};

/// Marks the file as ours ("Prtc"), so that another program's database is not taken for one.
const APPLICATION: i64 = 0x5072_7463;
/// The format of the table below.
const FORMAT: i64 = 1;
const TABLE: &str = "CREATE TABLE IF NOT EXISTS documents (
    key TEXT PRIMARY KEY NOT NULL,
    version INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID";

pub(super) fn open(path: &Path, settings: &Settings) -> Result<Connection, OpenError> {
    let inaccessible = |why: String| OpenError::Inaccessible {
        path: path.to_owned(),
        why,
    };
    private(path).map_err(|error| inaccessible(error.to_string()))?;
    let connection = Connection::open(path).map_err(|error| inaccessible(error.to_string()))?;
    prepare(&connection, settings).map_err(|error| match error {
        Unfit::Foreign => OpenError::Foreign { path: path.to_owned() },
        Unfit::Newer(format) => OpenError::Newer {
            path: path.to_owned(),
            format,
        },
        Unfit::Damaged(why) => OpenError::Damaged {
            path: path.to_owned(),
            why,
        },
        Unfit::Sqlite(error) => match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => OpenError::Damaged {
                path: path.to_owned(),
                why: error.to_string(),
            },
            _ => inaccessible(error.to_string()),
        },
    })?;
    Ok(connection)
}

/// Creates the file for its owner alone before SQLite would with the process's mask. It holds keys.
fn private(path: &Path) -> std::io::Result<()> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    match fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
            if file.metadata()?.permissions().mode() & 0o077 != 0 {
                file.set_permissions(fs::Permissions::from_mode(0o600))?;
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

enum Unfit {
    Foreign,
    Newer(i64),
    Damaged(String),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Unfit {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn prepare(connection: &Connection, settings: &Settings) -> Result<(), Unfit> {
    connection.busy_timeout(settings.busy)?;
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application = pragma("application_id")?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION && (application != 0 || tables > 0) {
        return Err(Unfit::Foreign);
    }
    let format = pragma("user_version")?;
    if format > FORMAT {
        return Err(Unfit::Newer(format));
    }
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(Unfit::Damaged(verdict));
    }
    // Readers do not wait for writers. Where the file system cannot do it, SQLite stays with its journal, which works too.
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    // A revocation that was acknowledged must survive a power cut; writes are rare.
    connection.pragma_update(None, "synchronous", "FULL")?;
    if let Some(pages) = settings.pages {
        connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
    }
    if application != APPLICATION || format < FORMAT {
        let work = connection.unchecked_transaction()?;
        work.pragma_update(None, "application_id", APPLICATION)?;
        work.pragma_update(None, "user_version", FORMAT)?;
        work.execute(TABLE, [])?;
        work.commit()?;
    }
    Ok(())
}

pub(super) fn read(connection: &Connection, key: &str) -> rusqlite::Result<Option<Document>> {
    connection
        .prepare_cached("SELECT version, body FROM documents WHERE key = ?1")?
        .query_row([key], |row| {
            Ok(Document {
                version: row.get(0)?,
                body: row.get(1)?,
            })
        })
        .optional()
}

/// The new version, or `None` if the stored one is not the expected one. One statement, so that it is one step for every process.
pub(super) fn write(
    connection: &Connection,
    key: &str,
    expected: Option<u64>,
    body: &[u8],
) -> rusqlite::Result<Option<u64>> {
    let (version, changed) = match expected {
        None => (
            1,
            connection
                .prepare_cached("INSERT INTO documents VALUES (?1, 1, ?2) ON CONFLICT DO NOTHING")?
                .execute(params![key, body])?,
        ),
        Some(expected) => (
            expected + 1,
            connection
                .prepare_cached(
                    "UPDATE documents SET version = version + 1, body = ?2 WHERE key = ?1 AND version = ?3",
                )?
                .execute(params![key, body, expected])?,
        ),
    };
    Ok((changed == 1).then_some(version))
}

/// A failure in words that say what to do, where that is known.
pub(super) fn advice(error: &rusqlite::Error) -> String {
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "there is no room left: free some space",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another process holds it for too long",
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            "the gateway's user must be able to write it and its directory"
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "it is damaged: restore it from a backup, or move it away and start again"
        }
        _ => return error.to_string(),
    };
    format!("{error}; {advice}")
}
