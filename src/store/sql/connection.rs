//! What the statements of the store need of a database: to execute a statement with parameters, and to read its rows.
//!
//! A statement is written once for all databases. Its parameters have names (`:id`), or numbers (`?1`) where the time to look up
//! names matters. A database with another dialect translates the text (`store/postgres/dialect.rs`).

use std::{borrow::Cow, ops::ControlFlow};

use uuid::Uuid;

use crate::store::StoreError;

/// A connection to a database, or a transaction on it. Calls answer when the database has answered, except
/// [`Self::execute_later`].
pub(crate) trait Connection {
    /// Executes a statement that returns no rows. Returns how many rows it has changed.
    fn execute(&self, sql: &str, parameters: Parameters<'_>) -> Result<u64, StoreError>;
    /// Executes a statement that returns no rows and has no outcome that a rule depends on. A database on the network may be
    /// asked later, together with the next statement, which saves a wait: later statements see what it has changed, and its
    /// failure fails the whole transaction. So it must not be one whose failure a rule answers with an error of its own.
    fn execute_later(&self, sql: &str, parameters: Parameters<'_>) -> Result<(), StoreError> {
        self.execute(sql, parameters).map(drop)
    }
    /// Inserts one row into a table whose rows the database numbers, in the order of the commits. Returns the number. It is the
    /// first parameter, whose value here must be NULL. Like [`Self::execute_later`], it may insert later.
    fn insert_numbered(&self, table: &str, sql: &str, parameters: Parameters<'_>) -> Result<i64, StoreError>;
    /// Passes the rows of a statement to `each`, until it breaks. `each` must not use the connection.
    fn each(&self, sql: &str, parameters: Parameters<'_>, each: EachRow<'_>) -> Result<(), StoreError>;
    /// The flag that a question about who may do something returns, or `None` without a row. It is for questions that many changes
    /// ask alike. A database on the network may remember the answer within the transaction, until a statement may have changed it;
    /// new tokens and events do not count. So the question must not be about those.
    fn remembered_flag(&self, sql: &str, parameters: Parameters<'_>) -> Result<Option<bool>, StoreError> {
        let mut flag = None;
        self.each(sql, parameters, &mut |row| {
            flag = Some(row.get(0)?);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(flag)
    }
    /// Notes that personal data was deleted, for a database that may keep deleted rows in its file.
    fn owe_scrub(&self) -> Result<(), StoreError>;
}

/// What receives rows.
pub(crate) type EachRow<'f> = &'f mut dyn FnMut(&dyn Row) -> Result<ControlFlow<()>, StoreError>;

impl dyn Connection + '_ {
    /// Whether a statement returns a row.
    pub(crate) fn exists(&self, sql: &str, parameters: Parameters<'_>) -> Result<bool, StoreError> {
        Ok(self.optional(sql, parameters, |_| Ok(()))?.is_some())
    }

    /// The first row of a statement, which always returns one.
    pub(crate) fn one<T>(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
        read: impl FnOnce(&dyn Row) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.optional(sql, parameters, read)?
            .ok_or_else(|| StoreError::Internal("a statement returned no row".to_owned()))
    }

    /// The first row of a statement, if there is one.
    pub(crate) fn optional<T>(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
        read: impl FnOnce(&dyn Row) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let (mut read, mut found) = (Some(read), None);
        self.each(sql, parameters, &mut |row| {
            if let Some(read) = read.take() {
                found = Some(read(row)?);
            }
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// All rows of a statement.
    pub(crate) fn all<T>(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
        mut read: impl FnMut(&dyn Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        self.each(sql, parameters, &mut |row| {
            found.push(read(row)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }
}

/// A row. Columns are counted from 0. NULL is `None`; any other type than the expected one is an error.
pub(crate) trait Row {
    /// An integer.
    fn integer(&self, at: usize) -> Result<Option<i64>, StoreError>;
    /// A truth value.
    fn flag(&self, at: usize) -> Result<Option<bool>, StoreError>;
    /// A text.
    fn optional_text(&self, at: usize) -> Result<Option<&str>, StoreError>;
    /// Bytes.
    fn bytes(&self, at: usize) -> Result<Option<&[u8]>, StoreError>;
    /// An identifier.
    fn id(&self, at: usize) -> Result<Option<Uuid>, StoreError>;
}

impl dyn Row + '_ {
    /// A value that may not be NULL, unless `T` is an `Option`.
    pub(crate) fn get<T: Column>(&self, at: usize) -> Result<T, StoreError> {
        T::read(self, at)
    }

    /// A text that may not be NULL.
    pub(crate) fn text(&self, at: usize) -> Result<&str, StoreError> {
        self.optional_text(at)?.ok_or_else(|| is_null(at))
    }
}

/// A type of a column.
pub(crate) trait Column: Sized {
    /// Reads the column `at`.
    fn read(row: &dyn Row, at: usize) -> Result<Self, StoreError>;
}

macro_rules! column {
    ($($type:ty: |$row:ident, $at:ident| $read:expr;)+) => {$(
        impl Column for Option<$type> {
            fn read($row: &dyn Row, $at: usize) -> Result<Self, StoreError> {
                $read
            }
        }

        impl Column for $type {
            fn read(row: &dyn Row, at: usize) -> Result<Self, StoreError> {
                row.get::<Option<$type>>(at)?.ok_or_else(|| is_null(at))
            }
        }
    )+};
}

column! {
    i64: |row, at| row.integer(at);
    bool: |row, at| row.flag(at);
    u32: |row, at| row.integer(at)?.map(|value| value.try_into().map_err(|_| is_unreadable(at))).transpose();
    String: |row, at| Ok(row.optional_text(at)?.map(str::to_owned));
    Uuid: |row, at| row.id(at);
    Vec<u8>: |row, at| Ok(row.bytes(at)?.map(<[u8]>::to_vec));
    [u8; 16]: |row, at| array(row, at);
    [u8; 32]: |row, at| array(row, at);
}

fn array<const N: usize>(row: &dyn Row, at: usize) -> Result<Option<[u8; N]>, StoreError> {
    row.bytes(at)?.map(|bytes| bytes.try_into().map_err(|_| is_unreadable(at))).transpose()
}

fn is_null(at: usize) -> StoreError {
    StoreError::Internal(format!("column {at} is NULL"))
}

/// The error for a value that is not of the type which the column must have.
pub(crate) fn is_unreadable(at: usize) -> StoreError {
    StoreError::Internal(format!("column {at} has a value of a wrong type"))
}

/// The parameters of a statement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Parameters<'a> {
    /// By name, with its colon. Each is named in the statement.
    Named(&'a [(&'a str, Value<'a>)]),
    /// In the order of their numbers.
    Numbered(&'a [Value<'a>]),
}

/// A statement without parameters.
pub(crate) const NONE: Parameters<'static> = Parameters::Numbered(&[]);

/// The type of a value. A database may need to know it of NULL, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    Flag,
    Text,
    Bytes,
    Id,
}

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Null(Kind),
    Integer(i64),
    Flag(bool),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    Id(Uuid),
}

impl Value<'_> {
    /// The same value, without borrowed parts.
    pub(crate) fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null(kind) => Value::Null(kind),
            Self::Integer(value) => Value::Integer(value),
            Self::Flag(value) => Value::Flag(value),
            Self::Text(value) => Value::Text(Cow::Owned(value.into_owned())),
            Self::Bytes(value) => Value::Bytes(Cow::Owned(value.into_owned())),
            Self::Id(value) => Value::Id(value),
        }
    }

    /// The type of the value.
    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Null(kind) => *kind,
            Self::Integer(_) => Kind::Integer,
            Self::Flag(_) => Kind::Flag,
            Self::Text(_) => Kind::Text,
            Self::Bytes(_) => Kind::Bytes,
            Self::Id(_) => Kind::Id,
        }
    }
}

/// What always becomes a value of one kind.
pub(crate) trait OfKind {
    const KIND: Kind;
}

macro_rules! value {
    ($($type:ty: $kind:ident |$value:ident| $made:expr;)+) => {$(
        impl<'a> From<$type> for Value<'a> {
            fn from($value: $type) -> Self {
                Self::$kind($made)
            }
        }

        impl<'a> OfKind for $type {
            const KIND: Kind = Kind::$kind;
        }
    )+};
}

value! {
    i64: Integer |value| value;
    u32: Integer |value| value.into();
    u16: Integer |value| value.into();
    bool: Flag |value| value;
    &'a str: Text |value| Cow::Borrowed(value);
    &'a String: Text |value| Cow::Borrowed(value);
    String: Text |value| Cow::Owned(value);
    &'a [u8]: Bytes |value| Cow::Borrowed(value);
    &'a [u8; 16]: Bytes |value| Cow::Borrowed(value);
    &'a [u8; 32]: Bytes |value| Cow::Borrowed(value);
    [u8; 16]: Bytes |value| Cow::Owned(value.to_vec());
    [u8; 32]: Bytes |value| Cow::Owned(value.to_vec());
    Uuid: Id |value| value;
}

impl<'a, T: OfKind + Into<Self>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null(T::KIND), Into::into)
    }
}

/// Parameters by name: `named! {":id": id.uuid(), ":at": now.unix()}`.
macro_rules! named {
    ($($name:literal: $value:expr),+ $(,)?) => {
        $crate::store::sql::connection::Parameters::Named(&[
            $(($name, $crate::store::sql::connection::Value::from($value))),+
        ])
    };
}

/// Parameters by number: `numbered![id.uuid(), now.unix()]`.
macro_rules! numbered {
    ($($value:expr),+ $(,)?) => {
        $crate::store::sql::connection::Parameters::Numbered(&[
            $($crate::store::sql::connection::Value::from($value)),+
        ])
    };
}

pub(crate) use {named, numbered};
