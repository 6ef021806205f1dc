//! The named sets of words that patterns share.

/// Returns the alternatives of a set, in the language of patterns.
///
/// # Panics
/// Panics for an unknown name. All names are in constants, and a test compiles all patterns.
pub(super) fn words(name: &str) -> &'static str {
    match name {
        "person" => PERSON,
        "victim" => VICTIM,
        "subject" => SUBJECT,
        "object" => OBJECT,
        "by" => BY,
        "weapon" => WEAPON,
        "want" => WANT,
        "plan" => PLAN,
        "media" => MEDIA,
        "story" => STORY,
        "task" => TASK,
        "none" => NONE,
        "harmless-cause" => HARMLESS_CAUSE,
        "harmful-cause" => HARMFUL_CAUSE,
        "creature" => CREATURE,
        "place" => PLACE,
        "body" => BODY,
        "substance" => SUBSTANCE,
        _ => panic!("no set of words is named {name}"),
    }
}

/// Somebody in the person's life.
const PERSON: &str = "아빠|아버지|아버님|엄마|어머니|부모|새엄마|새아빠|계부|계모|남편|아내|와이프|신랑|남친|여친|남자친구|여자친구|의붓아버지|의붓아빠|의붓오빠|\
     애인|연인|전남친|전여친|오빠|언니|누나|형|동생|삼촌|이모|고모|외삼촌|큰아빠|작은아빠|할아버지|할머니|시어머니|시아버지|시댁|장인|사촌|\
     친척|선배|후배|선생|쌤|담임|교수|코치|감독|상사|팀장|부장|과장|차장|대리|사장|원장|점장|선임|고참|직장동료|동료|친구|짝꿍|룸메|애들|\
     걔|쟤|얘|아이|애기|딸|아들|그놈|그년|그새끼|이새끼|저새끼|새끼|그사람|저사람|이사람|그인간|저인간|이인간|그여자|그남자|그애|그분|\
     아저씨|아줌마|남자|여자|일진|가해자|이웃|옆집|윗집|걔네|쟤네|그자식|저자식|자식|놈들|집주인|손님|그쪽";
/// Those who may be hurt, as a person speaks of them.
const VICTIM: &str = "사람|누군가|누구|누굴|아무|남|남들|타인|다른사람|다들|모두|전부|가족";
const SUBJECT: &str = "(님|들|놈|)(이|가|은|는|께서|께서는|도|랑|하고|)";
/// The particles of a subject, for exclusions that need one.
const BY: &str = "(님|들|놈|)(이|가|은|는|께서|께서는)";
const WEAPON: &str = "골프채|칼|몽둥이|방망이|흉기|허리띠|벨트|야구배트|망치|회초리|각목|쇠파이프|도끼|가위|효자손|병";
const OBJECT: &str = "(님|들|놈|)(을|를|한테|에게|도|까지|)";
/// "Want to", after a stem.
const WANT: &str = "고(만|는|도|은|까지|)싶|고프|고파";
/// "Am going to", after a stem without its final consonant.
const PLAN: &str =
    "(려고|려구|려|ㄹ거(야|예|에|다|임|라|니)|ㄹ게|ㄹ것입|ㄹ겁|ㄹ까$|ㄹ까(요|봐|해|하|생각|말까|싶)|ㄹ래|겠|기로|자$)";
/// Stories and reports, in which dangers are not the person's own.
const MEDIA: &str = "드라마|영화|소설|뉴스|기사|웹툰|만화|게임|교육|예방|강의|공연|주인공|캐릭터|인물|장면|다큐|방송|애니|유튜브|연극|뮤지컬|\
     보도|통계|동화|추리|미드|넷플";
/// Stories that are marked as such. They do not hide a wish of the person's own in the same message.
const STORY: &str = "주인공|인물|캐릭터|장면|게임에서|소설에서|영화에서|드라마에서|뉴스에서|기사에서|웹툰에서|책에서";
/// Work and habits that may end without any danger.
const TASK: &str = "시험|숙제|프로젝트|과제|연애|관계|공부|작업|짝사랑|업무|청소|대학|학교|방학|회의|야근|계약|알바|싸움|수업|사이|논문|회사|\
     직장|공사|이사|취준|수험|재수|입시|학원|다이어트|운동|취업|꿈|여행|연습|발표|보고서|결혼|주식|투자|경기|게임|통화|대화|상담|일을|일도";
/// "Is not there", after a noun.
const NONE: &str = "(이|가|도|은|는|을|를|조차|따위|란게|)(전혀|하나도|다|더이상|이제|안|못|)(없|보이지|안보|모르|못찾|잃|찾을수|찾지못|뭔지|뭘까|뭐야|\
     있을까|있나|사라졌)";
/// Causes with which "dying" is only an exaggeration.
const HARMLESS_CAUSE: &str = "고파|고프|더워|더우|추워|추우|졸려|졸리|웃겨|웃기|웃느|귀찮|심심|보고싶|귀여|귀엽|예뻐|이뻐|예쁘|좋아|부끄|쪽팔|창피|\
     민망|궁금|맛있|바빠|바쁘|피곤|답답|재밌|재미|짜증|더러|급해|가려|간지|매워|매우|시끄|긴장|떨려|떨리|설레|얄미|행복|신나|부러|아까|\
     목말|목마|배불|배부|느끼|사랑|잠와|잠이와|잘생|멋있|멋져|억울|화나|열받|약올|빡|꼴보기|미워|지루|따분|졸라|싱거|짜서|달아|비싸|뜨거|차가|\
     시려|저려|쑤셔|결려|(머리|배|이|이빨|허리|다리|발|어깨|손목|무릎)(가|이|)아(파|프)|먹고싶|놀고싶|\
     자고싶|가고싶|집가고|쉬고싶|궁금|샘나|고마|무거|어색|오글|놀라|놀래|감동|뿌듯|기뻐|반가|그리워";
/// Causes with which "dying" may be meant.
const HARMFUL_CAUSE: &str = "힘들|힘드|괴로|괴롭|고통|우울|슬프|슬퍼|외로|외롭|아파|아프|무서|두려|불안|지쳐|지치|숨막|숨이막|숨이안|비참|\
     절망|막막|허무|공허|서러|서럽|버거|견디|미칠|죄책|수치|살기|사는게";
/// Things and animals that may die or be killed in a harmless sentence.
const CREATURE: &str = "모기|벌레|바퀴|개미|파리|거미|곤충|쥐|강아지|고양이|햄스터|토끼|물고기|금붕어|거북이|새가|화분|식물|나무|꽃|다육|배터리|컴퓨터|\
     핸드폰|폰이|노트북|보스|몬스터|좀비|캐릭터|적을|적군|세균|암세포|세포|바이러스|잡초|매미|진드기|나방";
/// High places and other dangerous ones.
const PLACE: &str = "옥상|난간|베란다|창문|창틀|창가|아파트|건물|다리위|다리에|다리난간|한강|절벽|높은곳|높은데|고층|선로|철로|철길|육교|마포대교|대교";
/// Parts of the body on which people hurt themselves.
const BODY: &str = "손목|팔목|팔뚝|팔|허벅지|종아리|다리|몸|배|목|발목|살";
/// Substances of an overdose.
const SUBSTANCE: &str =
    "수면제|신경안정제|안정제|진통제|타이레놀|처방약|알약|우울증약|두통약|감기약|약|농약|락스|세제|제초제";
