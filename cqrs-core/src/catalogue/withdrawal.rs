//! The withdrawal of a program that does not come back: an entry in the table of programs.
//!
//! The table is read in its order, so that a running program learns of a withdrawal by the read that tells it of later
//! programs.
use super::Declaration;
use crate::storage::StoredProgram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The withdrawal of one program. The same withdrawal always has the same text, so that it is stored once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Withdrawal {
    pub(crate) service: String,
    /// The number of the program.
    pub(crate) withdrawn_program: u64,
}
impl Withdrawal {
    pub(crate) fn to_text(&self) -> String {
        // A text and a number can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// An entry of the table of programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProgramEntry {
    Declared(Declaration),
    Withdrawn(Withdrawal),
    /// A declaration of a program that is much newer.
    Unreadable,
}
impl ProgramEntry {
    pub(crate) fn of(text: &str) -> Self {
        // A declaration lacks the number of a withdrawal, which has no default.
        if let Ok(withdrawal) = serde_json::from_str(text) {
            return ProgramEntry::Withdrawn(withdrawal);
        }
        serde_json::from_str(text).map_or(ProgramEntry::Unreadable, ProgramEntry::Declared)
    }
}

/// The programs of a database, in the order of their first start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalogue {
    /// The declarations that can be read, with their numbers.
    pub(crate) programs: Vec<(u64, Declaration)>,
    /// The numbers of the programs that were withdrawn.
    pub(crate) withdrawn: BTreeSet<u64>,
}
impl Catalogue {
    pub(crate) fn of(stored: &[StoredProgram]) -> Self {
        let mut catalogue = Catalogue::default();
        for program in stored {
            match ProgramEntry::of(&program.declaration) {
                ProgramEntry::Declared(declaration) => catalogue.programs.push((program.number, declaration)),
                ProgramEntry::Withdrawn(withdrawal) => {
                    catalogue.withdrawn.insert(withdrawal.withdrawn_program);
                }
                ProgramEntry::Unreadable => (),
            }
        }
        catalogue
    }
    /// Returns the declaration with which a program starts now. A program that was withdrawn is declared anew, as another
    /// one.
    pub(crate) fn declared_now(&self, mut program: Declaration) -> Declaration {
        program.restarted_after = 0;
        let is_same = |known: &Declaration| Declaration { restarted_after: 0, ..known.clone() } == program;
        let withdrawn =
            self.programs.iter().filter(|(number, known)| self.withdrawn.contains(number) && is_same(known));
        program.restarted_after = withdrawn.map(|(number, _)| *number).max().unwrap_or(0);
        program
    }
    /// Returns the number of a declared program.
    pub(crate) fn number_of(&self, program: &Declaration) -> Option<u64> {
        self.programs.iter().find(|(_, known)| known == program).map(|(number, _)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(texts: &[String]) -> Vec<StoredProgram> {
        let numbered = texts.iter().zip(1..);
        numbered.map(|(text, number)| StoredProgram { number, declaration: text.clone() }).collect()
    }

    #[test]
    fn a_withdrawn_program_is_declared_anew_each_time() {
        let program = Declaration { service: "s".into(), ..Declaration::default() };
        let withdrawal = |number| Withdrawal { service: "s".into(), withdrawn_program: number }.to_text();
        let mut texts = vec![program.to_text()];
        let declared = Catalogue::of(&stored(&texts)).declared_now(program.clone());
        assert_eq!((&declared, declared.to_text()), (&program, program.to_text()));
        texts.push(withdrawal(1));
        let second = Catalogue::of(&stored(&texts)).declared_now(program.clone());
        assert_eq!(second.restarted_after, 1);
        texts.push(second.to_text());
        // Another replica, and a restart.
        assert_eq!(Catalogue::of(&stored(&texts)).declared_now(program.clone()), second);
        texts.push(withdrawal(3));
        assert_eq!(Catalogue::of(&stored(&texts)).declared_now(program).restarted_after, 3);
    }

    #[test]
    fn a_withdrawal_is_not_a_declaration() {
        let withdrawal = Withdrawal { service: "s".into(), withdrawn_program: 7 };
        assert_eq!(ProgramEntry::of(&withdrawal.to_text()), ProgramEntry::Withdrawn(withdrawal));
        assert_eq!(ProgramEntry::of("{}"), ProgramEntry::Declared(Declaration::default()));
        assert_eq!(ProgramEntry::of("7"), ProgramEntry::Unreadable);
    }
}
