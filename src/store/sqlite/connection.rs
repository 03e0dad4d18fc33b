//! SQLite's connection, as the statements of the store use it ([`sql`](crate::store::sql)).

use rusqlite::{
    Statement, ToSql,
    types::{ToSqlOutput, ValueRef},
};

use super::scrub;
use crate::store::{
    StoreError,
    sql::connection::{Connection, EachRow, Parameters, Row, Value, is_unreadable},
};

impl Connection for rusqlite::Connection {
    fn execute(&self, sql: &str, parameters: Parameters<'_>) -> Result<u64, StoreError> {
        let mut statement = self.prepare_cached(sql)?;
        bind(&mut statement, parameters)?;
        Ok(statement.raw_execute()? as u64)
    }

    fn insert_numbered(&self, _table: &str, sql: &str, parameters: Parameters<'_>) -> Result<i64, StoreError> {
        Connection::execute(self, sql, parameters)?;
        Ok(self.last_insert_rowid())
    }

    fn each(&self, sql: &str, parameters: Parameters<'_>, each: EachRow<'_>) -> Result<(), StoreError> {
        let mut statement = self.prepare_cached(sql)?;
        bind(&mut statement, parameters)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            if each(row)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn owe_scrub(&self) -> Result<(), StoreError> {
        scrub::owe(self)
    }
}

fn bind(statement: &mut Statement<'_>, parameters: Parameters<'_>) -> rusqlite::Result<()> {
    match parameters {
        Parameters::Named(parameters) => {
            for (name, value) in parameters {
                let index = statement.parameter_index(name)?;
                let index = index.ok_or_else(|| rusqlite::Error::InvalidParameterName((*name).to_owned()))?;
                statement.raw_bind_parameter(index, value)?;
            }
        }
        Parameters::Numbered(parameters) => {
            for (index, value) in parameters.iter().enumerate() {
                statement.raw_bind_parameter(index + 1, value)?;
            }
        }
    }
    Ok(())
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null(_) => ValueRef::Null,
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Flag(value) => ValueRef::Integer((*value).into()),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Bytes(value) => ValueRef::Blob(value),
            Self::Id(value) => ValueRef::Blob(value.as_bytes()),
        }))
    }
}

impl Row for rusqlite::Row<'_> {
    fn integer(&self, at: usize) -> Result<Option<i64>, StoreError> {
        match self.get_ref(at)? {
            ValueRef::Null => Ok(None),
            ValueRef::Integer(value) => Ok(Some(value)),
            _ => Err(is_unreadable(at)),
        }
    }

    fn flag(&self, at: usize) -> Result<Option<bool>, StoreError> {
        Ok(self.integer(at)?.map(|value| value != 0))
    }

    fn optional_text(&self, at: usize) -> Result<Option<&str>, StoreError> {
        match self.get_ref(at)? {
            ValueRef::Null => Ok(None),
            ValueRef::Text(value) => std::str::from_utf8(value).map(Some).map_err(|_| is_unreadable(at)),
            _ => Err(is_unreadable(at)),
        }
    }

    fn bytes(&self, at: usize) -> Result<Option<&[u8]>, StoreError> {
        match self.get_ref(at)? {
            ValueRef::Null => Ok(None),
            ValueRef::Blob(value) => Ok(Some(value)),
            _ => Err(is_unreadable(at)),
        }
    }

    fn id(&self, at: usize) -> Result<Option<uuid::Uuid>, StoreError> {
        self.bytes(at)?.map(|bytes| uuid::Uuid::from_slice(bytes).map_err(|_| is_unreadable(at))).transpose()
    }
}
