//! The closed list of things that can be permitted.

/// An action, as audit lines name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActionName {
    /// read and vread
    Read,
    /// search
    Search,
    /// history of an instance, a type or all
    History,
    /// create
    Create,
    /// update
    Update,
    /// delete (a tombstone; history stays)
    Delete,
    /// erasure of history
    Erase,
    /// bulk reading: backup, export
    Export,
    /// taking in a message
    Receive,
    /// changing the tenant itself
    Administer,
    /// proving who one is, getting a token, signing out
    Authenticate,
}

impl ActionName {
    /// All actions, each at the place of its number.
    pub const ALL: [Self; 11] = [
        Self::Read,
        Self::Search,
        Self::History,
        Self::Create,
        Self::Update,
        Self::Delete,
        Self::Erase,
        Self::Export,
        Self::Receive,
        Self::Administer,
        Self::Authenticate,
    ];

    /// The number in audit records.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The action of a number.
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The word in audit lines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Search => "search",
            Self::History => "history",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Erase => "erase",
            Self::Export => "export",
            Self::Receive => "receive",
            Self::Administer => "administer",
            Self::Authenticate => "authenticate",
        }
    }

    /// Whether it changes what is kept.
    pub const fn writes(self) -> bool {
        match self {
            Self::Read | Self::Search | Self::History | Self::Export | Self::Authenticate => false,
            Self::Create
            | Self::Update
            | Self::Delete
            | Self::Erase
            | Self::Receive
            | Self::Administer => true,
        }
    }

    /// The letter of a SMART v2 scope that allows it on a type, if any does.
    pub(crate) const fn letter(self) -> Option<u8> {
        match self {
            Self::Read => Some(b'r'),
            Self::Search | Self::History => Some(b's'),
            Self::Create => Some(b'c'),
            Self::Update => Some(b'u'),
            Self::Delete => Some(b'd'),
            Self::Erase | Self::Export | Self::Receive | Self::Administer | Self::Authenticate => {
                None
            }
        }
    }
}

mod sealed {
    /// Keeps the list closed.
    pub trait Sealed {}
}

/// A type that stands for an [`ActionName`]; the list is closed.
pub trait Action: sealed::Sealed + 'static {
    /// Its name.
    const NAME: ActionName;
}

macro_rules! actions {
    ($($name:ident)+) => {$(
        #[doc = concat!("The action `", stringify!($name), "`.")]
        #[derive(Debug)]
        pub enum $name {}
        impl sealed::Sealed for $name {}
        impl Action for $name {
            const NAME: ActionName = ActionName::$name;
        }
    )+};
}

actions! { Read Search History Create Update Delete Erase Export Receive Administer }
