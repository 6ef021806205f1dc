//! The rules of the detector: patterns for each danger, and for the harmless uses of the same words.
mod abuse;
mod english;
mod harm_to_others;
mod self_harm;
mod vocabulary;

use super::Crisis;
use crate::domain::korean::{Pattern, Text};
use std::sync::LazyLock;

/// A pattern, and the patterns that make the whole message harmless for it.
type Rule = (&'static str, &'static [&'static str]);

/// The groups of rules, the most urgent danger first: the first group with a match decides.
const GROUPS: [(Crisis, &[Rule]); 8] = [
    (Crisis::SelfHarm, self_harm::CERTAIN),
    (Crisis::SelfHarm, english::SELF_HARM),
    (Crisis::Abuse, abuse::RULES),
    (Crisis::Abuse, english::ABUSE),
    (Crisis::HarmToOthers, harm_to_others::RULES),
    (Crisis::HarmToOthers, english::HARM_TO_OTHERS),
    (Crisis::PossibleSelfHarm, self_harm::POSSIBLE),
    (Crisis::PossibleSelfHarm, english::POSSIBLE),
];

/// A negation that follows a match: "I do not want to", "I have no thought of".
const NEGATED: &str = "(ㄹ|ㄴ|다|는|은|을|한|할|하는|하고|하고싶은|하고싶다는|고싶은|고싶다는|다는|단|어|던|)\
    (지(는|도|를|)(않|안)|지(는|도|)마(!|라|세|시|요)|생각(은|이|도|까지는|)(전혀|절대|이제|더는|)(없|안|하지(않|안)|들지(않|안)|아니)|건(절대|)아니|\
    게(절대|)아니|것은아니|마음(은|이|)(전혀|절대|)(없|아니)|적(은|이|도|)(한번도|)없|(은|이|도|는|)(전혀|절대|)없|정도(는|까지는|)아니|(는|은|같은건|)(절대|)안(해|하|할))";
/// A danger that has passed: "I used to want to, now I am well".
const PASSED: &str = "(예전|옛날|한때|과거|전에|그땐|그때|어릴때|작년|몇년전)*(죽|자살|자해|사라|살기|그만)**(지금|이제|요즘|요새|이젠)(은|는|엔|)*(괜찮|안그|아니|아냐|좋아|살만|나아|행복|안해|잘지|않|극복|없)";

struct Compiled {
    crisis: Crisis,
    when: Pattern,
    unless: Vec<Pattern>,
}

static RULES: LazyLock<Vec<Compiled>> = LazyLock::new(|| {
    let rules = GROUPS.iter().flat_map(|(crisis, rules)| rules.iter().map(|rule| (*crisis, rule)));
    rules
        .map(|(crisis, (when, unless))| {
            let unless = unless.iter().copied().map(compile).collect();
            Compiled { crisis, when: compile(when), unless }
        })
        .collect()
});
static NEGATION: LazyLock<Pattern> = LazyLock::new(|| compile(NEGATED));
static PAST: LazyLock<Pattern> = LazyLock::new(|| compile(PASSED));

fn compile(source: &str) -> Pattern {
    Pattern::compile(source, &vocabulary::words)
}

/// Returns the danger of the first rule that matches.
pub(super) fn first(text: &Text) -> Option<Crisis> {
    RULES.iter().find(|rule| rule.applies(text)).map(|rule| rule.crisis)
}

impl Compiled {
    fn applies(&self, text: &Text) -> bool {
        let ends = self.when.ends(text);
        // One denied match does not deny the others.
        let stated = ends.into_iter().any(|end| !NEGATION.follows(text, vec![end]));
        let about_self = matches!(self.crisis, Crisis::SelfHarm | Crisis::PossibleSelfHarm);
        stated && !(about_self && PAST.is_in(text)) && !self.unless.iter().any(|pattern| pattern.is_in(text))
    }
}
