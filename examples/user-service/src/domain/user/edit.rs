//! What somebody changes of themselves: each field stays, is cleared, or is set.
use super::{Birthday, Gender, ImageUrl, Introduction, Mbti, Nickname, PhoneNumber, Profile, UserError};
use serde::{Deserialize, Serialize};

/// What happens to a field that need not be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Edit<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is told no more.
    Clear,
    /// It becomes this.
    Set(T),
}
impl<T: Clone> Edit<T> {
    /// Absent keeps, an empty text clears, anything else is parsed.
    pub fn of(text: Option<&str>, parse: impl FnOnce(&str) -> Result<T, UserError>) -> Result<Self, UserError> {
        match text {
            None => Ok(Edit::Keep),
            Some("") => Ok(Edit::Clear),
            Some(text) => parse(text).map(Edit::Set),
        }
    }
    fn apply(&self, before: &Option<T>) -> Option<T> {
        match self {
            Edit::Keep => before.clone(),
            Edit::Clear => None,
            Edit::Set(value) => Some(value.clone()),
        }
    }
}

/// What somebody changes of themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserEdit {
    /// Another name; nobody can be without one.
    pub nickname: Option<Nickname>,
    /// The rest.
    pub profile: ProfileEdit,
}
impl UserEdit {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == UserEdit::default()
    }
}

/// The fields of a [`Profile`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "Profile's fields, and its words")]
pub struct ProfileEdit {
    pub image: Edit<ImageUrl>,
    pub phone_number: Edit<PhoneNumber>,
    pub gender: Edit<Gender>,
    pub birthday: Edit<Birthday>,
    pub introduction: Edit<Introduction>,
    pub mbti: Edit<Mbti>,
}
impl ProfileEdit {
    pub(super) fn of(&self, before: &Profile) -> Profile {
        Profile {
            image: self.image.apply(&before.image),
            phone_number: self.phone_number.apply(&before.phone_number),
            gender: self.gender.apply(&before.gender),
            birthday: self.birthday.apply(&before.birthday),
            introduction: self.introduction.apply(&before.introduction),
            mbti: self.mbti.apply(&before.mbti),
        }
    }
}
