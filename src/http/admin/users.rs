//! The accounts of all users.

use actix_web::web::{Data, Json, Path};
use serde::Serialize;

use crate::{
    domain::{
        account::{Role, User},
        id::UserId,
    },
    http::{
        error::ApiError,
        input::{
            body::Body,
            guard::{Admin, AdminReader, AdminSession, Guard},
            request_source::Source,
        },
        state::AppState,
    },
    ops::{self, accounts, roles},
    store::LastAdmin,
    views::DataView,
};

/// A user as an administrator sees them.
#[derive(Serialize)]
pub(crate) struct AdminUserView {
    id: String,
    name: String,
    email: String,
    role: &'static str,
    current_environment_id: String,
    created_at: String,
    disabled_at: Option<String>,
}

impl From<User> for AdminUserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            name: user.name.to_string(),
            email: user.email.to_string(),
            role: user.role.as_str(),
            current_environment_id: user.current_environment.to_string(),
            created_at: user.created_at.to_string(),
            disabled_at: user.disabled_at.map(|at| at.to_string()),
        }
    }
}

pub(crate) async fn show(
    state: Data<AppState>,
    Guard(AdminReader(admin)): Guard<AdminReader>,
    id: Path<String>,
) -> Result<Json<DataView<AdminUserView>>, ApiError> {
    let user = accounts::find(&state.ops, admin.administrator, &user_id(&id)?.to_string()).await?;
    Ok(Json(DataView { data: user.into() }))
}

pub(crate) async fn enable(
    state: Data<AppState>,
    Guard(Admin(admin)): Guard<Admin>,
    source: Source,
    id: Path<String>,
) -> Result<Json<DataView<AdminUserView>>, ApiError> {
    let user = accounts::enable(&state.ops, admin.administrator, user_id(&id)?, source.by_admin(&admin)).await?;
    Ok(Json(DataView { data: user.into() }))
}

pub(crate) async fn update(
    state: Data<AppState>,
    Guard(AdminSession(admin)): Guard<AdminSession>,
    source: Source,
    id: Path<String>,
    body: Body,
) -> Result<Json<DataView<AdminUserView>>, ApiError> {
    let id = user_id(&id)?;
    let mut form = body.form(&["role"]).await?;
    let role = form.required("role", Role::parse);
    let role = form.finish(role)?;
    let source = source.by_admin(&admin);
    let user = roles::set(&state.ops, admin.administrator, id, role, LastAdmin::Stays, source).await?;
    Ok(Json(DataView { data: user.into() }))
}

/// A malformed id is answered like an unknown one.
fn user_id(text: &str) -> Result<UserId, ops::Error> {
    UserId::parse(text).ok_or(ops::Error::NotFound)
}
