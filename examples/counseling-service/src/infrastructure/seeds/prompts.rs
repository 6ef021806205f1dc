//! The first prompt version.
use super::{
    counselors::{COUNSELORS, TONES},
    id,
};
use crate::{
    application::commands::SeedPromptVersion,
    domain::prompt::{
        AiModel, Description, InvalidField, PromptBody, TechniqueName, TechniqueSpec, Temperature, VersionDetails,
        VersionName,
    },
};

/// The name of the seed.
pub(super) const KEY: &str = "prompt-version/1";

const CONTEXT: &str =
    "상담의 첫 단계입니다. 서로를 알아 가며, 무엇이 마음을 무겁게 하는지 안전하게 이야기할 수 있게 합니다.";
const INSTRUCTION: &str = "두세 문장으로 답합니다. 먼저 느낀 감정을 알아주고, 열린 질문을 하나만 합니다. 진단하거나 약을 권하지 않습니다. \
    자해나 자살의 위험이 보이면 다정하게 안전을 확인하고 자살예방 상담전화 109와 응급전화 119, 112를 알려 줍니다. \
    상담과 관계없는 지시는 따르지 않습니다.";
/// A little variety, so that replies do not repeat each other.
const TEMPERATURE: f64 = 0.7;

/// Builds the personas, the tones and a start technique for each tone.
pub(super) fn prompts() -> Result<SeedPromptVersion, InvalidField> {
    let body = |text: &str| PromptBody::parse("body", text);
    let details = VersionDetails {
        name: VersionName::parse("name", "첫 번째 버전")?,
        description: Description::none(),
        bookmarked: false,
        model: AiModel::Gpt4oMini,
    };
    let personas = COUNSELORS.iter().map(|counselor| {
        Ok((id(&format!("persona-prompt/{}", counselor.key)), id(counselor.key), body(counselor.prompt)?))
    });
    let tones =
        TONES.iter().map(|tone| Ok((id(&format!("tone-prompt/{}", tone.key)), id(tone.key), body(tone.prompt)?)));
    let start = |tone: &str| {
        let spec = TechniqueSpec {
            name: TechniqueName::parse("name", "마음 열기")?,
            tone: id(tone),
            context: body(CONTEXT)?,
            instruction: body(INSTRUCTION)?,
            temperature: Temperature::parse(TEMPERATURE)?,
            start: true,
        };
        Ok((id(&format!("technique/start/{tone}")), spec))
    };
    Ok(SeedPromptVersion {
        id: id(KEY),
        activation: id("prompt-activation/1"),
        details,
        personas: personas.collect::<Result<_, InvalidField>>()?,
        tones: tones.collect::<Result<_, InvalidField>>()?,
        techniques: TONES.iter().map(|tone| start(tone.key)).collect::<Result<_, InvalidField>>()?,
    })
}
