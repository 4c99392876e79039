//! Who lives on the server when it starts.

use serde::{Deserialize, Serialize};

/// The open-source server's one company.
pub const DEFAULT_COMPANY: &str = "d1bd92a3b039400cbafc60a7a5b1e52b";
/// The company of guests, and of carol.
pub const GUEST_COMPANY: &str = "025315a9321f49f8be07f5ac48fbcf92";
/// Signs the tokens; as public as the real server's default secret.
const TOKEN_SECRET: &str = "emulator-token-secret-for-loopback-only";

/// What a caller may do on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The server's own services; tokens without an end.
    System,
    /// Everything.
    Root,
    /// May act as another user of the company.
    Admin,
    /// Every fixed user.
    User,
    /// The guest; not read-only (observed).
    Guest,
}

impl Role {
    /// The word used in tokens and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Root => "root",
            Self::Admin => "admin",
            Self::User => "user",
            Self::Guest => "guest",
        }
    }

    /// The role of that name.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::System, Self::Root, Self::Admin, Self::User, Self::Guest]
            .into_iter()
            .find(|role| role.as_str() == word)
    }
}

/// A company: the only border between tasks that the open-source server knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Company {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Shown name.
    pub name: String,
}

/// An API key with its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Public half.
    pub access_key: String,
    /// Secret half. These are fixed values for a tool that listens on loopback; they protect nothing.
    pub secret_key: String,
}

/// Somebody who can call the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Log-in name, and the name by which tests speak of the actor.
    pub login: String,
    /// User id.
    pub id: String,
    /// Shown name.
    pub name: String,
    /// Id of the company.
    pub company: String,
    /// What the actor may do.
    pub role: Role,
    /// Password of a fixed user; service identities have none.
    pub password: Option<String>,
    /// An API key.
    pub key: Option<Key>,
    /// Whether the actor has an entry among the users. Service identities have none: `users.get_current_user` answers 400/300.
    pub profile: bool,
}

/// Companies and actors at the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed {
    /// Companies.
    pub companies: Vec<Company>,
    /// Actors in the order in which the users are listed.
    pub actors: Vec<Actor>,
    /// The key that signs tokens.
    pub token_secret: String,
}

impl Seed {
    /// The actor with that log-in name or user id.
    pub fn actor(&self, who: &str) -> Option<&Actor> {
        self.actors.iter().find(|actor| actor.login == who || actor.id == who)
    }

    /// Who lives on an open-source server that nobody configured: a default user, and the web application's key, with which it logs any
    /// name in without a password. Goes with [`crate::Settings::fixed_users`] off.
    pub fn out_of_the_box() -> Self {
        let tests = Actor {
            role: Role::User,
            profile: true,
            name: "Default User".to_owned(),
            ..service("tests", "__tests__", Role::User)
        };
        Self {
            companies: companies(),
            actors: vec![
                tests,
                service("webserver", "__webserver__", Role::System),
                service("system", "__apiserver__", Role::System),
            ],
            token_secret: TOKEN_SECRET.to_owned(),
        }
    }
}

impl Default for Seed {
    /// alice and bob in one company, carol and the guest in another, the administrator's and the system's key.
    fn default() -> Self {
        let user = |login: &str, name: &str, id: &str, company: &str| Actor {
            login: login.to_owned(),
            id: id.to_owned(),
            name: name.to_owned(),
            company: company.to_owned(),
            role: Role::User,
            password: Some(format!("{login}-pw")),
            key: Some(key(login)),
            profile: true,
        };
        let guest = Actor {
            role: Role::Guest,
            password: Some("guest".to_owned()),
            key: None,
            ..user("guest", "Guest", "90e57000000000000000000000000004", GUEST_COMPANY)
        };
        let default_user = Actor {
            password: None,
            key: None,
            ..user("tests", "Default User", "__tests__", DEFAULT_COMPANY)
        };
        Self {
            companies: vec![
                Company {
                    id: DEFAULT_COMPANY.to_owned(),
                    name: "clearml".to_owned(),
                },
                Company {
                    id: GUEST_COMPANY.to_owned(),
                    name: "guests".to_owned(),
                },
            ],
            actors: vec![
                default_user,
                user(
                    "alice",
                    "Alice Archer",
                    "a11ce000000000000000000000000001",
                    DEFAULT_COMPANY,
                ),
                user("bob", "Bob Baker", "b0b00000000000000000000000000002", DEFAULT_COMPANY),
                user("carol", "Carol Cole", "ca401000000000000000000000000003", GUEST_COMPANY),
                guest,
                service("admin", "__services_agent__", Role::Admin),
                service("system", "__apiserver__", Role::System),
            ],
            token_secret: TOKEN_SECRET.to_owned(),
        }
    }
}

fn companies() -> Vec<Company> {
    let company = |id: &str, name: &str| Company {
        id: id.to_owned(),
        name: name.to_owned(),
    };
    vec![company(DEFAULT_COMPANY, "clearml"), company(GUEST_COMPANY, "guests")]
}

/// A service identity: a key and no profile.
fn service(login: &str, id: &str, role: Role) -> Actor {
    Actor {
        login: login.to_owned(),
        id: id.to_owned(),
        name: id.trim_matches('_').to_owned(),
        company: DEFAULT_COMPANY.to_owned(),
        role,
        password: None,
        key: Some(key(login)),
        profile: false,
    }
}

/// A key of the shape that the server makes.
fn key(login: &str) -> Key {
    Key {
        access_key: format!("{:0<30}", format!("EMULATOR{}KEY", login.to_ascii_uppercase())),
        secret_key: format!("{login}-secret-of-the-emulator-for-loopback-only"),
    }
}
