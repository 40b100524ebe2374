//! Names of invented people, from many languages, some with their own script beside the Latin one.

use super::chance::Chance;
use super::person::Sex;

/// A name in Latin letters and, where people write it so, in another script.
type Pair = (&'static str, &'static str);

/// Names that go together.
#[derive(Debug)]
pub(super) struct Tongue {
    /// BCP 47 tag of what is spoken at home.
    pub(super) language: &'static str,
    families: &'static [Pair],
    women: &'static [Pair],
    men: &'static [Pair],
}

/// One person's name.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) family: Pair,
    pub(super) given: Pair,
    pub(super) second: Option<&'static str>,
}

/// Tongues with their weight in the town.
const TOWN: &[(&Tongue, i64)] = &[
    (&ENGLISH, 46),
    (&SPANISH, 16),
    (&POLISH, 6),
    (&FRENCH, 6),
    (&VIETNAMESE, 5),
    (&CHINESE, 5),
    (&ARABIC, 4),
    (&RUSSIAN, 3),
    (&HINDI, 3),
    (&GREEK, 2),
    (&JAPANESE, 2),
    (&NORDIC, 2),
];

/// The language of one household.
pub(super) fn tongue(chance: &mut Chance) -> &'static Tongue {
    let mut at = chance.between(0, TOWN.iter().map(|(_, weight)| weight).sum::<i64>() - 1);
    for (tongue, weight) in TOWN {
        at -= weight;
        if at < 0 {
            return tongue;
        }
    }
    &ENGLISH
}

impl Tongue {
    /// A family name.
    pub(super) fn family(&self, chance: &mut Chance) -> Pair {
        *chance.pick(self.families)
    }

    /// A full name within a family.
    pub(super) fn name(&self, chance: &mut Chance, sex: Sex, family: Pair) -> Name {
        let list = if sex == Sex::Female {
            self.women
        } else {
            self.men
        };
        let given = *chance.pick(list);
        let second = chance.pick(list).0;
        let second = (second != given.0 && chance.happens(0.35)).then_some(second);
        Name {
            family,
            given,
            second,
        }
    }
}

macro_rules! plain {
    ($($name:literal)+) => { &[$(($name, "")),+] };
}

const ENGLISH: Tongue = Tongue {
    language: "en",
    families: plain!["Ashdown" "Barlow" "Carver" "Dunmore" "Ellery" "Fairweather" "Garrick" "Hollis" "Ingram"
        "Jarvis" "Kettering" "Langley" "Marlowe" "Northcott" "O'Brien" "Pemberton" "Quigley" "Rowntree"
        "Sinclair" "Thackeray" "Underhill" "Vickers" "Whitlock" "Yardley" "Smith-Jones" "MacLeod" "Lee"],
    women: plain!["Abigail" "Beatrice" "Charlotte" "Daisy" "Eleanor" "Florence" "Grace" "Hannah" "Isla" "Josephine"
        "Katherine" "Lucy" "Margaret" "Nora" "Olivia" "Penelope" "Ruth" "Sophie" "Tabitha" "Violet" "Zoë"],
    men: plain!["Arthur" "Benjamin" "Charles" "Daniel" "Edward" "Frederick" "George" "Henry" "Isaac" "James"
        "Kenneth" "Leonard" "Matthew" "Noah" "Oliver" "Patrick" "Quentin" "Robert" "Samuel" "Thomas" "William"],
};

const SPANISH: Tongue = Tongue {
    language: "es",
    families: plain!["García Núñez" "Rodríguez" "Muñoz" "Fernández" "Peña" "Ibáñez" "Castillo" "Ortega Ruiz" "Vázquez"
        "Cordero" "Delgado" "Montoya" "Zúñiga" "Quiñones"],
    women: plain!["María" "Lucía" "Sofía" "Inés" "Begoña" "Rocío" "Ximena" "Ángela" "Dolores" "Paloma"],
    men: plain!["José" "Andrés" "Iñigo" "Joaquín" "Mateo" "Ramón" "Óscar" "Víctor" "Diego" "Tomás"],
};

const POLISH: Tongue = Tongue {
    language: "pl",
    families: plain!["Wójcik" "Kowalczyk" "Dąbrowska" "Jabłoński" "Łukasik" "Szczepański" "Źrebiec" "Gołąb"],
    women: plain!["Agnieszka" "Bożena" "Małgorzata" "Świętosława" "Zofia" "Łucja" "Ewa"],
    men: plain!["Stanisław" "Michał" "Łukasz" "Paweł" "Wacław" "Grzegorz" "Jędrzej"],
};

const FRENCH: Tongue = Tongue {
    language: "fr",
    families: plain!["Lefèvre" "d'Aubigné" "Béranger" "Châtelain" "Lacroix" "Noël" "Tréville" "Œuvrard"],
    women: plain!["Amélie" "Chloé" "Éléonore" "Françoise" "Hélène" "Océane" "Maëlle"],
    men: plain!["André" "Benoît" "Étienne" "François" "Jérôme" "Loïc" "Théo"],
};

const NORDIC: Tongue = Tongue {
    language: "sv",
    families: plain!["Åström" "Bjørnsen" "Sjöberg" "Þórsdóttir" "Østergaard" "Mäkinen"],
    women: plain!["Astrid" "Bodil" "Guðrún" "Märta" "Sølvi" "Åsa"],
    men: plain!["Bjørn" "Håkan" "Jökull" "Søren" "Väinö" "Åke"],
};

const VIETNAMESE: Tongue = Tongue {
    language: "vi",
    families: plain!["Nguyễn" "Trần" "Phạm" "Huỳnh" "Đặng" "Võ"],
    women: plain!["Ánh" "Hồng" "Lệ" "Mỹ Duyên" "Thảo" "Tuyết"],
    men: plain!["Bảo" "Đức" "Hiếu" "Khánh" "Quốc" "Tuấn"],
};

const CHINESE: Tongue = Tongue {
    language: "zh",
    families: &[
        ("Wang", "王"),
        ("Li", "李"),
        ("Zhang", "张"),
        ("Liu", "刘"),
        ("Chen", "陈"),
        ("Ouyang", "欧阳"),
    ],
    women: &[
        ("Xiuying", "秀英"),
        ("Mei", "梅"),
        ("Lihua", "丽华"),
        ("Fang", "芳"),
        ("Yating", "雅婷"),
    ],
    men: &[
        ("Wei", "伟"),
        ("Jianguo", "建国"),
        ("Hao", "浩"),
        ("Zhiming", "志明"),
        ("Jun", "军"),
    ],
};

const JAPANESE: Tongue = Tongue {
    language: "ja",
    families: &[
        ("Tanaka", "田中"),
        ("Watanabe", "渡辺"),
        ("Kobayashi", "小林"),
        ("Saitō", "斎藤"),
    ],
    women: &[
        ("Yūko", "優子"),
        ("Haruka", "遥"),
        ("Sakura", "さくら"),
        ("Akemi", "明美"),
    ],
    men: &[
        ("Hiroshi", "浩"),
        ("Kenji", "健二"),
        ("Takumi", "匠"),
        ("Ryō", "亮"),
    ],
};

const ARABIC: Tongue = Tongue {
    language: "ar",
    families: &[
        ("Haddad", "حداد"),
        ("Mansour", "منصور"),
        ("al-Najjar", "النجار"),
        ("Khoury", "خوري"),
        ("Saleh", "صالح"),
    ],
    women: &[
        ("Amira", "أميرة"),
        ("Fatima", "فاطمة"),
        ("Layla", "ليلى"),
        ("Noor", "نور"),
        ("Yasmin", "ياسمين"),
    ],
    men: &[
        ("Ahmed", "أحمد"),
        ("Karim", "كريم"),
        ("Omar", "عمر"),
        ("Tariq", "طارق"),
        ("Youssef", "يوسف"),
    ],
};

const RUSSIAN: Tongue = Tongue {
    language: "ru",
    families: &[
        ("Kuznetsov", "Кузнецов"),
        ("Sokolov", "Соколов"),
        ("Shevchenko", "Шевченко"),
        ("Petrenko", "Петренко"),
    ],
    women: &[
        ("Olga", "Ольга"),
        ("Tatiana", "Татьяна"),
        ("Yulia", "Юлия"),
        ("Svitlana", "Світлана"),
    ],
    men: &[
        ("Dmitri", "Дмитрий"),
        ("Fyodor", "Фёдор"),
        ("Igor", "Игорь"),
        ("Mykola", "Микола"),
    ],
};

const HINDI: Tongue = Tongue {
    language: "hi",
    families: &[
        ("Sharma", "शर्मा"),
        ("Patel", "पटेल"),
        ("Gupta", "गुप्ता"),
        ("Verma", "वर्मा"),
    ],
    women: &[
        ("Anjali", "अंजलि"),
        ("Priya", "प्रिया"),
        ("Sunita", "सुनीता"),
        ("Kavita", "कविता"),
    ],
    men: &[
        ("Arjun", "अर्जुन"),
        ("Rajesh", "राजेश"),
        ("Vikram", "विक्रम"),
        ("Sanjay", "संजय"),
    ],
};

const GREEK: Tongue = Tongue {
    language: "el",
    families: &[
        ("Papadopoulos", "Παπαδόπουλος"),
        ("Nikolaidis", "Νικολαΐδης"),
        ("Georgiou", "Γεωργίου"),
    ],
    women: &[
        ("Eleni", "Ελένη"),
        ("Katerina", "Κατερίνα"),
        ("Sofia", "Σοφία"),
    ],
    men: &[
        ("Dimitris", "Δημήτρης"),
        ("Giorgos", "Γιώργος"),
        ("Yannis", "Γιάννης"),
    ],
};
