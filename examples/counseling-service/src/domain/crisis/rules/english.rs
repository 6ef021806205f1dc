//! The rules for English. A text has no spaces here, and an apostrophe is dropped: "I'll" is `ill`.
use super::Rule;

/// Accidents, and idioms, with the verbs of self-harm.
const ACCIDENT: &str = "(shav|cook|kitchen|accident|bymistake|playing|football|soccer|basketball|tennis|thegym|atpractice|workout|exercis|\
    danc|skat|bike|biking|skiing|yoga|oven|stove|iron|paper|fell|falling|slack|myselfoff|myselfout|hair|running|climbing|gardening)";
/// Work and laughter that "kill".
const EXAGGERATION: &str = "(thegym|atwork|studying|forthisexam|homework|deadline|laugh|tothebone|inthefoot|infoot|myselfin(work|coffee|music|chocolate|books))";
/// Stories and prevention. They do not hide what the person says of themselves in the rules for `myself`.
const STORY: &str = "(movie|film|drama|novel|news|prevention|awareness|documentary|lyrics|suicidesquad|videogame)";
/// Causes with which dying is only an exaggeration.
const HARMLESS_DEATH: &str = "(laugh|embarrass|hunger|hungry|starving|bored|boredom|thirst|cute|cringe|funny|soadorable|soexcited|heat|sohot|socold|curiosity)";
/// A denied wish to die or to hurt oneself.
const DENIED: &str = "(never|dont|didnt|wont|wouldnt|donot|didnot|willnot|wouldnot|doesnt|nolonger|amnot|imnot|not(goingto|gonna|tryingto|planningto|thinkingof|thinkingabout|wantto))\
    (really|actually|even|ever|)(wantto|wanna|wishto|planto|intendto|tryto|goingto|gonna|planningto|thinkingof|thinkingabout|)\
    (die|dying|kill|hang|drown|shoot|hurt|harm|cut|cutt|burn|endmylife|endit|takemy|jump|overdos|suicid)";
const CREATURE: &str =
    "(thecat|mycat|thedog|mydog|squirrel|thebird|spider|bungee|parachut|skydiv|swim|diving|pool|forfun|sofun)";

/// A danger to the person that the words state.
pub(super) const SELF_HARM: &[Rule] = &[
    (
        "(kill|hang|hung|drown|shoot|shot|poison|chok|strangl|suffocat|stab|stabb|electrocut|starv|unaliv)(e|)(ing|ed|)myself",
        &[DENIED, EXAGGERATION],
    ),
    ("(hurt|harm|cut|cutt|burn|injur|scratch|punch|slash|punish)(e|)(ing|ed|)myself", &[DENIED, ACCIDENT]),
    ("(wantto|wanna|keep|started|)hit(ting|)myself", &[DENIED, ACCIDENT]),
    (
        "(cut|cutt|slit|slitt|slash|slic|slice)(ing|ed|d|)(up|open|)my(own|)(wrist|arm|forearm|thigh|leg|vein|skin|throat|neck)",
        &[DENIED, ACCIDENT, "(arm|leg|skin)*on(a|the|some)"],
    ),
    ("(started|start|keep|been|backto|cantstop)cutting(again|$)", &[STORY, "(class|hair|grass|sugar)"]),
    ("(scratch|claw|pick)(ing|ed|)(at|)my**(bled|bleed|blood)", &[ACCIDENT]),
    ("burn(ing|ed|)my(own|)(skin|arm|thigh|leg)*(lighter|cigarette|onpurpose|tofeel)", &[]),
    (
        "(wantto|wanna|wantedto|readyto|planningto|planto|decidedto|deserveto|needto|ratherjust|idrather|feellikeishould|wishi(could|would|)|hopei|letme|waitingto)\
         (just|really|)(die(<|$)|dieanyway|notwakeup|bedead(<|$)|stopexisting|notexist|ceasetoexist)",
        &[DENIED, HARMLESS_DEATH, "(want|wanna)*before(i|we)die", STORY],
    ),
    ("wishi(was|were|d|had|)(dead|gone|notalive|neverborn|neverbeenborn)", &[HARMLESS_DEATH]),
    (
        "(end|ending|ended|take|taking|took)(my|myown)(own|)life",
        &[DENIED, "life(back|ina|into|tothenext|serious|forgranted|insurance)", STORY],
    ),
    (
        "(end|ending)it(all|tonight|forgood|rightnow|onceandforall)",
        &[DENIED, "(contract|relationship|series|with(him|her|my|them))"],
    ),
    (
        "(jump|jumping|jumped|leap|leaping|throwmyself|throwingmyself|flingmyself)(down|)(off|from|outof)(of|)*(bridge|roof|building|balcon|cliff|window|ledge|overpass|tower|apartment|floor|skyscraper)",
        &[DENIED, STORY, CREATURE],
    ),
    (
        "(jump|jumping|jumped|step|stepping|run|walk|walking|throwmyself|throwingmyself)(in|)(front|infrontof|under|into|onto)(of|)*(train|subway|traffic|truck|lorry|bus|tracks|oncoming)",
        &[DENIED, STORY, CREATURE, "(runintotraffic(jam|onmyway)|stuckin)"],
    ),
    (
        "<(an|)overdos",
        &[
            DENIED,
            STORY,
            "(<sugar|<coffee|<caffeine|<chocolate|<vitamin|<cuteness)overdos",
            "overdos(e|ed|ing)(of|on)*(sugar|coffee|chocolate|caffein|kpop|music|cute|netflix|work|vitamin|cuteness|tv)",
        ],
    ),
    (
        "(take|taking|took|taken|swallow|swallowed|swallowing|downed|down|ate)(all|awhole|thewhole|abottle|thebottle|ahandful|toomany|alotof|abunch|every|ten|fifteen|twenty|thirty|forty|fifty|sixty|ahundred|10|15|20|25|30|40|50|60|100|dozens)\
         **(pill|tablet|meds|medication|medicine|painkiller|antidepress|tylenol|paracetamol|ibuprofen|xanax|capsule)",
        &[DENIED, STORY, "(everyday|daily|everymorning|everynight|prescribed|doctor|ontime|vitamin|course|antibiotic)"],
    ),
    (
        "(pill|tablet|meds|medication|medicine|painkiller|antidepress|tylenol|paracetamol)***(take|taking|took|swallow|swallowing|swallowed|down)(them|it|theseal|)all",
        &[DENIED, STORY, "(everyday|daily|prescribed|doctor|vitamin|antibiotic)"],
    ),
    (
        "(sav|stockpil|hoard|collect)(e|)(ing|ed|)(up|)(my|the|)*(pill|tablet|meds|medication)",
        &[STORY, "(money|pharmacy|prescription)"],
    ),
    (
        "suicid",
        &[
            DENIED,
            STORY,
            "(not|never|isnt|longer)(feeling|feel|)suicid",
            "suicid(e|al|es)(rate|hotlinewall|squad|doors|inside)",
            "(diedby|lost*to|diedof)suicide",
        ],
    ),
    (
        "(<selfharm|<selfinjur|<kms(<|$)|<unalive|sewerslide)",
        &[DENIED, STORY, "(0|1|2|3|4|5|6|7|8|9|ran|run|walk|drive|drove)kms"],
    ),
    (
        "(<noose|ropearound(my|)neck|gun(to|at|in|against)my(head|temple|mouth|chest)|(knife|blade|razor)(to|at|on|against)my(wrist|throat|neck|arm|thigh))",
        &[STORY, "(barber|doctor|shav)"],
    ),
    ("(goodbye|farewell)(note|letter)", &[STORY, "(cowork|colleague|boss|team|job|work|school|teacher)"]),
    (
        "(stand|sit)(ing|ting|)*(theledge|therailing|edgeofthe(roof|bridge|building|cliff|platform))",
        &[STORY, "(photo|picture|view|sunset|sunrise)"],
    ),
    // Not wanting to live.
    (
        "life*(not|isnt|nolonger|never|aint|hardly|doesntfeel|doesntseem|dontthink|feelsnot)*worth(living|it$|itany|itto)",
        &["isnt*worthliving(without(coffee|music|chocolate|cats))"],
    ),
    ("(not|isnt|never|dontthink)*life*worthliving", &[]),
    ("(nothing|noone|nobody)(left|)tolivefor", &[]),
    (
        "(no|any|a|the|cantfinda|dontseea)(reason|point|purpose)(left|)(to|in)(keep|)(go|)(on|)(live|living|liv|stayalive|stayingalive|existing|exist)",
        &["(a|the)(reason|point|purpose)tolive*(is|for)", "gavemea"],
    ),
    (
        "(dont|donot|nolonger|not|never|didnt|doesnt|dontreally|cant)(really|even|)(wantto|wanna|wishto|careto|feellike)(be|)(live|living|alive|existing|exist)(<|$)",
        &["(live|living)(in|with|here|at|there|near|together|alone|like)"],
    ),
    ("(dont|donot)(really|even|)(wantto|wanna)wakeup(again|anymore|evera|tomorrow|$)", &["(early|school|work)"]),
    (
        "(better(off|)|happier|easier)(if(i|iwas|iwere)*(dead|gone|died|nothere|disappeared|wasnthere|werenthere|didntexist)|without(me(<|$)))",
        &[],
    ),
    ("<betteroffdead", &[]),
    (
        "(noone|nobody)(would|will|ll|d)(even|)(miss|care|notice)*(me(<|$)|idied|iwasgone|iweregone|idisappear|iwasdead|iamgone|imgone|idie)",
        &["(callme|textme)"],
    ),
    ("(planning|plan|planned)my(own|)(death|funeral|suicide)", &[STORY]),
    ("(sleep|fallasleep)(forever|andnever|andnot)(wakeup|)", &[HARMLESS_DEATH, "(sotired|couldsleepforever)"]),
];

/// Words that may mean a danger to the person, or that speak of somebody near.
pub(super) const POSSIBLE: &[Rule] = &[
    (
        "(wantto|wanna|wishicould|wishi|wishicouldjust|couldjust|goingto|gonna|will|ill|idliketo)(just|simply|really|)(disappear|vanish|ceasetobe|fadeaway)",
        &[
            DENIED,
            "(wrinkle|acne|pimple|frommyphone|intothecrowd|onvacation|onaholiday|toanisland)",
            "(dont|not)(wantto|wanna)(disappear|vanish)",
        ],
    ),
    (
        "(dont|donot|nolonger|not)(really|even|)(wantto|wanna)(be|)(here(anymore|anylonger|$)|bearound(anymore|$)|goon(any|$))",
        &["(job|school|work|party|thiscity)"],
    ),
    (
        "(tiredof|sickof|donewith|hate|hating|givenupon|givingupon|giveupon)(living|life|beingalive|mylife|existing|everythinginlife|thislife)",
        &["living(in|with|at|near|here|there|alone|on)"],
    ),
    (
        "(cant|cannot|couldnt)(really|)(goon|keepgoing|keepliving|liveanymore|livelikethis|takeitany|takethisany|dothisany|bearitany|standitany|copeany|handleitany)",
        &["(job|homework|noise|neighbo|vacation|holiday|trip|adate)"],
    ),
    (
        "(whats|whatis|seeno|isno|theresno|nomore|no|anylonger|any)(the|)pointof(living|life|goingon|anything|existing|beinghere|beingalive)",
        &[],
    ),
    (
        "life(is|feels|isjust|seems|has)(so|just|completely|totally|)(pointless|meaningless|hell|unbearable|worthless|nomeaning|notworth|nopoint|empty)",
        &[],
    ),
    (
        "(goingto|gonna)die(<|$)",
        &[
            DENIED,
            HARMLESS_DEATH,
            STORY,
            "(someday|oneday|eventually|weareallgoing|wereallgoing|mydog|mycat|grandma|grandpa)",
        ],
    ),
    ("(thoughtsof|thinkingabout|thinkabout|thinkof|feellike|thinkingof)(death|dying)(<|$)", &[HARMLESS_DEATH, STORY]),
    ("<i(am|m|feel|feellike|feellikeim|feellikeiam)(just|such|only|nothingbut|)(a|)burden", &[]),
    ("(feel|feeling|am|im|iam)(so|completely|utterly|totally|)(hopeless|worthless)", &["hopelessat"]),
    ("(please|someone|somebody)(just|please|)killme", &[HARMLESS_DEATH]),
    (
        "(kill|hang|hung|drown|shot|hurt|hurting|harm|cut|cutting|killing|harming)(ed|ing|)(himself|herself|themsel)",
        &[ACCIDENT, EXAGGERATION, STORY],
    ),
    (
        "(he|she|they|friend|brother|sister|mom|mum|dad|mother|father|son|daughter|wife|husband|uncle|aunt|cousin)(is|was|are|)(diedby|losttosuicide|lost*tosuicide|diedofsuicide)",
        &[STORY],
    ),
    ("(diedby|lost*to|diedof)suicide", &[STORY]),
];

/// The wish or the plan to hurt somebody else.
pub(super) const HARM_TO_OTHERS: &[Rule] = &[
    (
        "(killhim|killher|killthem|killmyboss|killmymom|killmydad|killsomeone|killpeople|hurtsomeone|stabhim|stabher|murder)",
        &["(movie|film|drama|novel|news|mystery)"],
    ),
    (
        "(wantto|wanna|goingto|gonna|planningto|urgeto|thinkingof|iwill|<ill|readyto)(just|really|)(kill|stab|shoot|strangl|chok|beatup|hurt)(e|)(ing|)(my(boss|mom|mum|mother|dad|father|husband|wife|ex|brother|sister|boyfriend|girlfriend|teacher|classmate|coworker|neighbo|roommate)|him|her|them|somebody|someone|people|everyone|thatguy|thatman|thatwoman|thembastards)",
        &[
            "(movie|film|drama|novel|news|mystery|videogame)",
            "(dont|never|not)(really|)(wantto|wanna|goingto)(kill|hurt)",
            "hurt(herfeeling|hisfeeling|theirfeeling)",
            "withkindness",
        ],
    ),
];

/// Violence, sexual violence, stalking and threats that somebody suffers.
pub(super) const ABUSE: &[Rule] = &[
    (
        "(beatsme|hitsme|hitme|beatme|abusesme|abusedme|abusingme|rapedme|wasraped|gotraped|molested|stalkingme|stalksme|chokedme)",
        &["(movie|film|drama|novel|news|it|this)(just|really)hit", "hit(s|)meup"],
    ),
    (
        "<my*(dad|father|mom|mum|mother|husband|wife|boyfriend|girlfriend|brother|sister|uncle|stepdad|stepfather|partner|ex|boss|teacher|coach|parents)(keeps|is|always|often|just|has|<|)*\
         (hit|hits|hitting|(threatens|threatened|threatening)to(hit|beat|kill|chok|choke|strangle|hurt|rape)|beat|beats|beating|slap|slaps|slapped|slapping|punch|punches|punched|punching|kick|kicks|kicked|kicking|chok|choked|choking|strangled|threatens|threatened|threatening|rapes|raped|raping|stalks|stalking|stalked|abuse|abuses|abused|abusing|touches|touched|touching|hurts|hurting)(es|ing|)(me|us|mymom|mymother|mybrother|mysister|thekids|mykids)(<|$)",
        &["(movie|film|drama|novel|news)", "touche(s|d)me(deeply|so)", "hit(s|)meup", "hurtsmyfeel"],
    ),
];
