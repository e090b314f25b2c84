//! What the query returns: one row for each verifier, or one with all of them.

use authen_sasl_rust::secret::Secret;
use tokio_postgres::types::FromSql;
use tokio_postgres::{Column, Error, Row, Statement};

use crate::account::Account;

/// Where the columns are.
pub struct Columns {
    verifier: usize,
    /// The verifiers are in an array.
    is_array: bool,
    disabled: Option<usize>,
    groups: Option<usize>,
}

impl Columns {
    /// Finds them by their names, and checks their types. An unknown one is an error: it may be one of these, misspelt.
    pub fn of(statement: &Statement) -> Result<Self, String> {
        let columns = statement.columns();
        let mut found = Columns { verifier: usize::MAX, is_array: false, disabled: None, groups: None };
        for (at, column) in columns.iter().enumerate() {
            // Which one counts? Of two marks that disable, neither may be overlooked.
            if columns[..at].iter().any(|other| other.name() == column.name()) {
                return Err(format!("column {:?} is there twice", column.name()));
            }
            match column.name() {
                "verifier" if is::<Vec<Option<&str>>>(column) => (found.verifier, found.is_array) = (at, true),
                "verifier" => found.verifier = checked::<&str>(at, column, "text or text[]")?,
                "disabled" => found.disabled = Some(checked::<bool>(at, column, "boolean")?),
                "groups" => found.groups = Some(checked::<Vec<Option<&str>>>(at, column, "text[]")?),
                name => {
                    return Err(format!(
                        "column {name:?} is not one of verifier, disabled and groups; name it with AS"
                    ));
                }
            }
        }
        match found.verifier {
            usize::MAX => Err("no column is named verifier; name it with AS".into()),
            _ => Ok(found),
        }
    }

    /// The account in these rows; `None` if there are none.
    pub fn account(&self, rows: &[Row]) -> Result<Option<Account>, Error> {
        let (mut account, mut groups) = (Account::default(), Vec::<Box<str>>::new());
        for row in rows {
            let verifiers = match self.is_array {
                true => row.try_get::<_, Option<Vec<Option<&str>>>>(self.verifier)?.unwrap_or_default(),
                false => vec![row.try_get::<_, Option<&str>>(self.verifier)?],
            };
            for text in verifiers.into_iter().flatten() {
                account.add(Secret::new(text.as_bytes()));
            }
            match self.disabled.map(|at| row.try_get::<_, Option<bool>>(at)).transpose()? {
                Some(None) => {
                    account.disabled = true;
                    account.faults.push("the column disabled is NULL: the user counts as disabled".into());
                }
                Some(Some(true)) => account.disabled = true,
                Some(Some(false)) | None => {}
            }
            if let Some(at) = self.groups {
                let of_row = row.try_get::<_, Option<Vec<Option<&str>>>>(at)?.unwrap_or_default();
                for group in of_row.into_iter().flatten() {
                    if !groups.iter().any(|known| **known == *group) {
                        groups.push(group.into());
                    }
                }
            }
        }
        account.groups = groups.into();
        Ok((!rows.is_empty()).then_some(account))
    }
}

fn is<'a, T: FromSql<'a>>(column: &Column) -> bool {
    T::accepts(column.type_())
}

fn checked<'a, T: FromSql<'a>>(at: usize, column: &Column, expected: &str) -> Result<usize, String> {
    let (name, has) = (column.name(), column.type_().name());
    is::<T>(column).then_some(at).ok_or_else(|| format!("column {name} has the type {has}; expected {expected}"))
}
