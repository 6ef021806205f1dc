//! A change of a profile: each field is kept, cleared or set.
use super::{Birthday, Gender, ImageUrl, Introduction, Mbti, Nickname, PhoneNumber, Profile, UserError};
use serde::{Deserialize, Serialize};

/// The change of an optional field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Edit<T> {
    /// The field keeps its value.
    #[default]
    Keep,
    /// The field becomes empty.
    Clear,
    /// The field gets a new value.
    Set(T),
}
impl<T: Clone> Edit<T> {
    /// Converts a request field: an absent text keeps the value, an empty text clears it, any other text is parsed.
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

/// A change of a profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserEdit {
    /// The new nickname, if any. A nickname cannot be cleared.
    pub nickname: Option<Nickname>,
    pub profile: ProfileEdit,
}
impl UserEdit {
    /// Returns whether no field is changed.
    pub fn is_empty(&self) -> bool {
        *self == UserEdit::default()
    }
}

/// The changes of the fields of a [`Profile`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
