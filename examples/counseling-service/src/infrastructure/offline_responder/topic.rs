//! Recognises the topic of a message by whole words and stems.
use crate::domain::korean::{Pattern, Text};
use std::sync::LazyLock;

/// The topic of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    Sleep,
    Anxiety,
    Anger,
    Loneliness,
    Relationships,
    Work,
    Sadness,
    Gratitude,
    Greeting,
    Other,
}

/// The patterns of each topic, the most important topic first. The language is that of [`Pattern`]: `<` is the start of
/// a word, so 영화가 has no 화가 in it.
const PATTERNS: &[(Topic, &[&str])] = &[
    (
        Topic::Sleep,
        &[
            "<잠-(이|을|도|은|들기|들지|에들|자리|못)",
            "(<|을|도)못(자요|자서|자고|자겠|잤|잔|자네|잘정도)",
            "잠못",
            "<불면",
            "<수면",
            "<악몽",
            "자다(가|)깨",
            "뒤척",
            "새벽에(자꾸|또|)깨",
            "<졸려",
            "<졸리",
            "밤을(꼬박|)새",
        ],
    ),
    (
        Topic::Anxiety,
        &[
            "불안(하|해|한|감|이|증|$)",
            "<걱정",
            "초조",
            "<긴장",
            "두려",
            "두렵",
            "<무서",
            "<무섭",
            "<떨려",
            "<떨리",
            "공황",
            "조마조마",
            // 겁나 before an adjective only means "very".
            "<겁-(이|도)(너무|자꾸|많이|)(나|났|난)",
            "<겁-나-(요|서|네|는데|고|죠)",
            "<겁나$",
            "<겁-(났|난|먹|을먹)",
        ],
    ),
    (
        Topic::Anger,
        &[
            "(<|진짜|너무|정말|자꾸|막|계속)화(가|도|를|는|만)(너무|진짜|정말|막|더|자꾸|안|많이|머리끝까지|)(나!|나요|난|났|내|냈|낸|치밀|풀|솟|참)",
            "(<|진짜|너무|정말|자꾸|막|계속)화(나|났|난|내|냈)",
            "짜증",
            "<분노",
            "열받",
            "억울",
            "빡(치|쳐|쳤)",
            "미치겠",
            "답답",
        ],
    ),
    (
        Topic::Loneliness,
        &[
            "외로",
            "외롭",
            "<혼-자-(인|라|뿐|남|만|밖에|있)",
            "<혼자$",
            "쓸쓸",
            "<고립",
            "허전",
            "기댈(곳|데|사람)",
            "(곁에|옆에|주변에|내편이)아무도없",
        ],
    ),
    (
        Topic::Relationships,
        &[
            "(<|남자|여자)친-구",
            "<남친",
            "<여친",
            "<연애",
            "<이-별",
            "헤어(졌|지|진|져)",
            "<가족",
            "<(우리|저희|)(엄마|아빠|부모|남편|언니|오빠|누나|동생|시어머니|어머니|아버지)",
            "<아-내(가|는|와|랑|를|의|도|에게|한테|하고)",
            "<사람들",
            "인간관계",
            "<싸웠",
            "<다퉜",
            "말다툼",
        ],
    ),
    (
        Topic::Work,
        &[
            "<회사",
            "<직장",
            "<상사(가|는|와|랑|한테|에게|를|때문|의|도)",
            "<업무",
            "<야근",
            "<퇴사",
            "<이-직(을|하|이|해|도|준)",
            "<취업",
            "<취준",
            "<면접",
            "<시험",
            "<공부",
            "<학교",
            "<과제",
            "<성적",
            "일이(너무|진짜|정말|)많",
            "번아웃",
            "<프로젝트",
            "<진로",
            "<출근",
            "<학원",
            "<수능",
        ],
    ),
    (
        Topic::Sadness,
        &[
            "슬프",
            "슬퍼",
            "슬픈",
            "우울",
            "<눈물",
            "<울-(었|고|음|컥|어요|었어)",
            "힘들",
            "힘든",
            "<지-(쳤|쳐|친)",
            "무기력",
            "공허",
            "속상",
            // 아파트 is a house.
            "(<|너무|많이|마음이|맘이|몸이|머리가|배가|허리가|가슴이)아-(파요|파서|파!$|픈|프|팠|파도|픕)",
        ],
    ),
    (
        Topic::Gratitude,
        &[
            "고마",
            "고맙",
            "<감-사(합|해|하|드|했|$)",
            "덕분",
            "위로가(많이|정말|큰|)(됐|되|돼|된)",
            "도움이(많이|정말|큰|)(됐|되|돼|된)",
        ],
    ),
    (
        Topic::Greeting,
        &[
            "(^|저기|네|아)안-녕(하세|하십|하신가|하셔|히|$|요|!$)",
            "^안녕",
            "^하-이(요|루|염|용|)$",
            "^하이<",
            "<반-(가|갑)",
            "^처음뵙",
            "^(hi|hello|hey)($|<)",
        ],
    ),
];

static COMPILED: LazyLock<Vec<(Topic, Vec<Pattern>)>> = LazyLock::new(|| {
    let none = |name: &str| -> &'static str { panic!("topics have no set of words, but one names {name}") };
    let compile = |patterns: &[&str]| patterns.iter().map(|pattern| Pattern::compile(pattern, &none)).collect();
    PATTERNS.iter().map(|(topic, patterns)| (*topic, compile(patterns))).collect()
});

impl Topic {
    pub(super) fn of(message: &str) -> Self {
        // The abbreviation has no vowels, which the normalised text leaves out.
        if message.trim_start().starts_with("ㅎㅇ") {
            return Topic::Greeting;
        }
        let text = Text::normalise(message);
        let found = COMPILED.iter().find(|(_, patterns)| patterns.iter().any(|pattern| pattern.is_in(&text)));
        found.map_or(Topic::Other, |(topic, _)| *topic)
    }
}
