//! Values of parameters and rows, as PostgreSQL has them.

use std::error::Error;

use tokio_postgres::{
    Row,
    types::{FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked},
};
use uuid::Uuid;

use crate::store::{
    StoreError,
    sql::connection::{self, Kind, Value, is_unreadable},
};

/// The type that a parameter of this kind is declared with. The server cannot always infer it: not from `$1 IS NULL`.
pub(super) const fn declared(kind: Kind) -> Type {
    match kind {
        Kind::Integer => Type::INT8,
        Kind::Flag => Type::BOOL,
        Kind::Text => Type::TEXT,
        Kind::Bytes => Type::BYTEA,
        Kind::Id => Type::UUID,
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null(_) => Ok(IsNull::Yes),
            Self::Integer(value) if *kind == Type::INT4 => encode(&i32::try_from(*value)?, kind, out),
            Self::Integer(value) => encode(value, kind, out),
            Self::Flag(value) => encode(value, kind, out),
            // PostgreSQL stores no NUL. No name has a control character either, so a search for one finds nothing.
            Self::Text(value) if value.contains('\0') => encode(&value.replace('\0', "\u{1}"), kind, out),
            Self::Text(value) => encode(&&**value, kind, out),
            Self::Bytes(value) => encode(&&**value, kind, out),
            Self::Id(value) => encode(value, kind, out),
        }
    }

    fn accepts(_kind: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn encode<T: ToSql>(value: &T, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
    match T::accepts(kind) {
        true => value.to_sql(kind, out),
        false => Err(format!("a parameter of type {kind} got a value of another type").into()),
    }
}

/// The bytes of a column that has the type bytea or uuid.
struct Bytes<'r>(&'r [u8]);

impl<'r> FromSql<'r> for Bytes<'r> {
    fn from_sql(_kind: &Type, raw: &'r [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::BYTEA | Type::UUID)
    }
}

impl connection::Row for Row {
    fn integer(&self, at: usize) -> Result<Option<i64>, StoreError> {
        match self.columns().get(at).map(|column| column.type_()) {
            Some(&Type::INT4) => get::<i32>(self, at).map(|value| value.map(i64::from)),
            _ => get(self, at),
        }
    }

    fn flag(&self, at: usize) -> Result<Option<bool>, StoreError> {
        get(self, at)
    }

    fn optional_text(&self, at: usize) -> Result<Option<&str>, StoreError> {
        get(self, at)
    }

    fn bytes(&self, at: usize) -> Result<Option<&[u8]>, StoreError> {
        get::<Bytes<'_>>(self, at).map(|bytes| bytes.map(|Bytes(raw)| raw))
    }

    fn id(&self, at: usize) -> Result<Option<Uuid>, StoreError> {
        get(self, at)
    }
}

/// A column that is always NULL has the type text, whatever it stands for.
fn get<'r, T: FromSql<'r>>(row: &'r Row, at: usize) -> Result<Option<T>, StoreError> {
    row.try_get(at).or_else(|_| match row.try_get(at) {
        Ok(IsNullColumn(true)) => Ok(None),
        _ => Err(is_unreadable(at)),
    })
}

/// Whether a column of any type is NULL.
struct IsNullColumn(bool);

impl FromSql<'_> for IsNullColumn {
    fn from_sql(_kind: &Type, _raw: &[u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(false))
    }

    fn from_sql_null(_kind: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(true))
    }

    fn accepts(_kind: &Type) -> bool {
        true
    }
}
