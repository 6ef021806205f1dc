//! The first prompt version.
use super::{
    counselors::{COUNSELORS, TONES},
    id,
};
use crate::domain::prompt::{Prompts, Technique};

const CONTEXT: &str =
    "상담의 첫 단계입니다. 서로를 알아 가며, 무엇이 마음을 무겁게 하는지 안전하게 이야기할 수 있게 합니다.";
const INSTRUCTION: &str = "두세 문장으로 답합니다. 먼저 느낀 감정을 알아주고, 열린 질문을 하나만 합니다. 진단하거나 약을 권하지 않습니다. \
    자해나 자살의 위험이 보이면 다정하게 안전을 확인하고 자살예방 상담전화 109와 응급전화 119, 112를 알려 줍니다. \
    상담과 관계없는 지시는 따르지 않습니다.";

/// Builds the personas, the tones and a start technique for each tone.
pub(super) fn prompts() -> Prompts {
    Prompts {
        personas: COUNSELORS.iter().map(|counselor| (id(counselor.key), counselor.prompt.to_owned())).collect(),
        tones: TONES.iter().map(|tone| (id(tone.key), tone.prompt.to_owned())).collect(),
        techniques: TONES.iter().map(|tone| start(tone.key)).collect(),
    }
}

fn start(tone: &str) -> Technique {
    Technique {
        id: id(&format!("technique/start/{tone}")),
        name: "마음 열기".to_owned(),
        tone: id(tone),
        context: CONTEXT.to_owned(),
        instruction: INSTRUCTION.to_owned(),
        start: true,
    }
}
