//! Recognises the topic of a message by keywords.

/// The topic of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    Crisis,
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

/// The keywords of each topic, the most important topic first. They have no spaces, because messages are compared
/// without spaces.
const WORDS: &[(Topic, &[&str])] = &[
    (
        Topic::Crisis,
        &[
            "죽고싶",
            "죽어버리",
            "죽을래",
            "죽는게나",
            "자살",
            "자해",
            "살기싫",
            "살고싶지않",
            "살이유",
            "왜살",
            "사라지고싶",
            "없어지고싶",
            "목숨",
            "세상을떠나",
            "생을마감",
            "해치고싶",
            "suicide",
        ],
    ),
    (Topic::Sleep, &["잠이", "잠을", "잠도", "못자", "불면", "수면", "악몽", "자다깨", "뒤척", "새벽에깨", "졸려"]),
    (Topic::Anxiety, &["불안", "걱정", "초조", "긴장", "두려", "무서", "떨려", "공황", "조마조마", "겁이나", "겁나"]),
    (Topic::Anger, &["화가", "화나", "짜증", "분노", "열받", "억울", "빡치", "미치겠", "답답"]),
    (Topic::Loneliness, &["외로", "외롭", "혼자", "쓸쓸", "고립", "허전", "기댈곳", "아무도없"]),
    (
        Topic::Relationships,
        &[
            "친구",
            "남자친구",
            "여자친구",
            "남친",
            "여친",
            "연애",
            "이별",
            "헤어졌",
            "헤어지",
            "가족",
            "엄마",
            "아빠",
            "부모",
            "남편",
            "아내",
            "사람들",
            "인간관계",
            "싸웠",
            "다퉜",
            "동생",
            "언니",
            "오빠",
            "누나",
        ],
    ),
    (
        Topic::Work,
        &[
            "회사",
            "직장",
            "상사",
            "업무",
            "야근",
            "퇴사",
            "이직",
            "취업",
            "면접",
            "시험",
            "공부",
            "학교",
            "과제",
            "성적",
            "일이많",
            "번아웃",
            "프로젝트",
            "진로",
        ],
    ),
    (
        Topic::Sadness,
        &["슬프", "슬퍼", "우울", "눈물", "울었", "울고", "힘들", "지쳤", "지쳐", "무기력", "공허", "속상", "아파"],
    ),
    (Topic::Gratitude, &["고마", "고맙", "감사", "덕분", "위로가", "도움이됐", "도움이되"]),
    (Topic::Greeting, &["안녕", "반가", "처음뵙", "하이", "hello", "ㅎㅇ"]),
];

impl Topic {
    pub(super) fn of(message: &str) -> Self {
        let message: String = message.to_lowercase().split_whitespace().collect();
        let found = WORDS.iter().find(|(_, words)| words.iter().any(|word| message.contains(word)));
        found.map_or(Topic::Other, |(topic, _)| *topic)
    }
}
