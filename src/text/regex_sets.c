#include "text/regex_sets.h"

#include "text/unicode.h"

#include <ctype.h>

#define BIT(category) (1u << UTF8PROC_CATEGORY_##category)
#define CASED (BIT(LU) | BIT(LL) | BIT(LT))
#define LETTER (CASED | BIT(LM) | BIT(LO))
#define MARK (BIT(MN) | BIT(MC) | BIT(ME))
#define NUMBER (BIT(ND) | BIT(NL) | BIT(NO))
#define PUNCTUATION (BIT(PC) | BIT(PD) | BIT(PS) | BIT(PE) | BIT(PI) | BIT(PF) | BIT(PO))
#define SYMBOL (BIT(SM) | BIT(SC) | BIT(SK) | BIT(SO))
#define SEPARATOR (BIT(ZS) | BIT(ZL) | BIT(ZP))
#define VISIBLE (LETTER | MARK | NUMBER | PUNCTUATION | SYMBOL | BIT(CF) | BIT(CO))
#define EVERYTHING UINT32_MAX

#define SPACES "\\x{9}-\\x{D}\\x{20}\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}"
#define NEW_HAN "\\x{2B739}\\x{2EBF0}-\\x{2EE5D}\\x{31350}-\\x{323AF}"
/* Alphabetic characters that are no letters, and were not alphabetic in Unicode 14. */
#define ALPHABETIC "\\p{Alphabetic}\\x{363}-\\x{36F}\\x{897}\\x{C04}\\x{CF3}\\x{F82}\\x{F83}\\x{1DD3}-\\x{1DE6}\\x{10D69}" \
    "\\x{10EFC}\\x{11080}\\x{11081}\\x{11241}\\x{113B8}-\\x{113C0}\\x{113C2}\\x{113C5}\\x{113C7}-\\x{113CA}\\x{113CC}" \
    "\\x{113CD}\\x{11F00}\\x{11F01}\\x{11F03}\\x{11F34}-\\x{11F3A}\\x{11F3E}-\\x{11F40}\\x{1611E}-\\x{1612E}\\x{1E08F}"
/* What Unicode 15.1 lets stand in identifiers. */
#define JOINED "\\x{200C}\\x{200D}\\x{30FB}\\x{FF65}"
#define VISIBLES "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Cf}\\p{Co}"

struct named_set {
    const char *name, *alias, *items; /* items NULL: \p{NAME} */
    uint32_t categories;              /* whose characters the library may not know yet */
    bool inverse;
};

/* \w: Alphabetic, M, Nd, Pc; and the other digits of Latin-1, which [:word:] leaves out. */
#define WORDS "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{1F189}"
#define WORD (LETTER | MARK | BIT(ND) | BIT(NL) | BIT(PC))

static const struct named_set word = {NULL, NULL, WORDS "\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}", WORD, false};

static const struct named_set properties[] = {
    {"l", "letter", NULL, LETTER, false},
    {"lc", "casedletter", "\\p{Lu}\\p{Ll}\\p{Lt}", CASED, false},
    {"lu", "uppercaseletter", NULL, BIT(LU), false},
    {"ll", "lowercaseletter", NULL, BIT(LL), false},
    {"lt", "titlecaseletter", NULL, BIT(LT), false},
    {"lm", "modifierletter", NULL, BIT(LM), false},
    {"lo", "otherletter", NULL, BIT(LO), false},
    {"m", "mark", NULL, MARK, false},
    {"mn", "nonspacingmark", NULL, BIT(MN), false},
    {"mc", "spacingmark", NULL, BIT(MC), false},
    {"me", "enclosingmark", NULL, BIT(ME), false},
    {"n", "number", NULL, NUMBER, false},
    {"nd", "decimalnumber", NULL, BIT(ND), false},
    {"nl", "letternumber", NULL, BIT(NL), false},
    {"no", "othernumber", NULL, BIT(NO), false},
    {"p", "punctuation", NULL, PUNCTUATION, false},
    {"pc", "connectorpunctuation", NULL, BIT(PC), false},
    {"pd", "dashpunctuation", NULL, BIT(PD), false},
    {"ps", "openpunctuation", NULL, BIT(PS), false},
    {"pe", "closepunctuation", NULL, BIT(PE), false},
    {"pi", "initialpunctuation", NULL, BIT(PI), false},
    {"pf", "finalpunctuation", NULL, BIT(PF), false},
    {"po", "otherpunctuation", NULL, BIT(PO), false},
    {"s", "symbol", NULL, SYMBOL, false},
    {"sm", "mathsymbol", NULL, BIT(SM), false},
    {"sc", "currencysymbol", NULL, BIT(SC), false},
    {"sk", "modifiersymbol", NULL, BIT(SK), false},
    {"so", "othersymbol", NULL, BIT(SO), false},
    {"z", "separator", NULL, SEPARATOR, false},
    {"zs", "spaceseparator", NULL, BIT(ZS), false},
    {"zl", "lineseparator", NULL, BIT(ZL), false},
    {"zp", "paragraphseparator", NULL, BIT(ZP), false},
    {"cc", "control", NULL, BIT(CC), false},
    {"cf", "format", NULL, BIT(CF), false},
    {"co", "privateuse", NULL, BIT(CO), false},
    {"c", "other", "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Z}", LETTER | MARK | NUMBER | PUNCTUATION | SYMBOL | SEPARATOR, true},
    {"cn", "unassigned", "\\P{Cn}", EVERYTHING, true},
    {"assigned", "assigned", "\\P{Cn}", EVERYTHING, false},
    {"any", "any", "\\x{0}-\\x{10FFFF}", 0, false},
    {"punct", "punct", "\\p{P}", PUNCTUATION, false},
    /* Scripts, with what they gained after Unicode 14. */
    {"han", "hani", "\\p{sc:Han}" NEW_HAN, 0, false},
    {"latin", "latn", "\\p{sc:Latin}\\x{A7CB}-\\x{A7CD}\\x{A7DA}-\\x{A7DC}\\x{1DF25}-\\x{1DF2A}", 0, false},
    {"cyrillic", "cyrl", "\\p{sc:Cyrillic}\\x{1C89}\\x{1C8A}\\x{1E030}-\\x{1E06D}\\x{1E08F}", 0, false},
    {"arabic", "arab", "\\p{sc:Arabic}\\x{897}\\x{10EC2}-\\x{10EC4}\\x{10EFC}-\\x{10EFF}", 0, false},
    {"devanagari", "deva", "\\p{sc:Devanagari}\\x{11B00}-\\x{11B09}", 0, false},
    {"hiragana", "hira", "\\p{sc:Hiragana}\\x{1B132}", 0, false},
    {"katakana", "kana", "\\p{sc:Katakana}\\x{1B155}", 0, false},
    {"balinese", "bali", "\\p{sc:Balinese}\\x{1B4E}\\x{1B4F}\\x{1B7F}", 0, false},
    {"common", "zyyy", "\\p{sc:Common}\\x{2427}-\\x{2429}\\x{2FFC}-\\x{2FFF}\\x{31E4}\\x{31E5}\\x{31EF}\\x{1CC00}-\\x{1CCF9}"
        "\\x{1CD00}-\\x{1CEB3}\\x{1D2C0}-\\x{1D2D3}\\x{1F6DC}\\x{1F774}-\\x{1F776}\\x{1F77B}-\\x{1F77F}\\x{1F7D9}"
        "\\x{1F8B2}-\\x{1F8BB}\\x{1F8C0}\\x{1F8C1}\\x{1FA75}-\\x{1FA77}\\x{1FA87}-\\x{1FA89}\\x{1FA8F}\\x{1FAAD}-\\x{1FAAF}"
        "\\x{1FABB}-\\x{1FABF}\\x{1FAC6}\\x{1FACE}\\x{1FACF}\\x{1FADA}-\\x{1FADC}\\x{1FADF}\\x{1FAE8}\\x{1FAE9}"
        "\\x{1FAF7}\\x{1FAF8}\\x{1FBCB}-\\x{1FBEF}", 0, false},
    {"egyptianhieroglyphs", "egyp", "\\p{sc:Egyptian_Hieroglyphs}\\x{1342F}\\x{13439}-\\x{13455}\\x{13460}-\\x{143FA}", 0, false},
    {"kannada", "knda", "\\p{sc:Kannada}\\x{CF3}", 0, false},
    {"khitansmallscript", "kits", "\\p{sc:Khitan_Small_Script}\\x{18CFF}", 0, false},
    {"khojki", "khoj", "\\p{sc:Khojki}\\x{1123F}-\\x{11241}", 0, false},
    {"lao", "laoo", "\\p{sc:Lao}\\x{ECE}", 0, false},
    {"myanmar", "mymr", "\\p{sc:Myanmar}\\x{116D0}-\\x{116E3}", 0, false},
    {"ideographic", "ideo", "\\p{Ideographic}\\x{18CFF}" NEW_HAN, 0, false},
    {"emoji", "emoji", "\\p{Emoji}\\x{1F6DC}\\x{1FA75}-\\x{1FA77}\\x{1FA87}-\\x{1FA89}\\x{1FA8F}\\x{1FAAD}-\\x{1FAAF}"
        "\\x{1FABB}-\\x{1FABF}\\x{1FAC6}\\x{1FACE}\\x{1FACF}\\x{1FADA}-\\x{1FADC}\\x{1FADF}\\x{1FAE8}\\x{1FAE9}"
        "\\x{1FAF7}\\x{1FAF8}", 0, false},
    /* Properties of other kinds, likewise. */
    {"cased", "cased", "\\p{Cased}\\x{10FC}\\x{A7F2}-\\x{A7F4}\\x{AB69}\\x{1E030}-\\x{1E06D}", CASED, false},
    {"dash", "dash", "\\p{Dash}\\x{10D6E}", 0, false},
    {"emojimodifierbase", "emojimodifierbase", "\\p{Emoji_Modifier_Base}\\x{1FAF7}\\x{1FAF8}", 0, false},
    {"emojipresentation", "emojipresentation", "\\p{Emoji_Presentation}\\x{1F6DC}\\x{1FA75}-\\x{1FA77}\\x{1FA87}-\\x{1FA89}\\x{1FA8F}"
        "\\x{1FAAD}-\\x{1FAAF}\\x{1FABB}-\\x{1FABF}\\x{1FAC6}\\x{1FACE}\\x{1FACF}\\x{1FADA}-\\x{1FADC}\\x{1FADF}"
        "\\x{1FAE8}\\x{1FAE9}\\x{1FAF7}\\x{1FAF8}", 0, false},
    {"extender", "extender", "\\p{Extender}\\x{A71}\\x{AFB}\\x{10D4E}\\x{10D6A}\\x{10D6F}\\x{11237}\\x{113D2}\\x{113D3}\\x{1E5EF}", 0, false},
    {"idstart", "ids", "\\p{ID_Start}", LETTER | BIT(NL), false},
    {"xidstart", "xids", "\\p{XID_Start}", LETTER | BIT(NL), false},
    {"idcontinue", "idc", "\\p{ID_Continue}" JOINED, WORD, false},
    {"xidcontinue", "xidc", "\\p{XID_Continue}" JOINED, WORD, false},
    {"math", "math", "\\p{Math}", BIT(SM), false},
    {"sentenceterminal", "sterm", "\\p{Sentence_Terminal}\\x{17D4}\\x{17D5}\\x{1B4E}\\x{1B4F}\\x{1B7F}\\x{2024}\\x{2CF9}-\\x{2CFB}"
        "\\x{FE12}\\x{FE15}\\x{FE16}\\x{113D4}\\x{113D5}\\x{11F43}\\x{11F44}\\x{16D6E}\\x{16D6F}", 0, false},
    {"softdotted", "sd", "\\p{Soft_Dotted}\\x{1E04C}\\x{1E04D}\\x{1E068}", 0, false},
    {"unifiedideograph", "uideo", "\\p{Unified_Ideograph}" NEW_HAN, 0, false},
};

/* The same as \p{NAME} and as [:NAME:]. */
static const struct named_set common[] = {
    {"digit", "digit", "\\p{Nd}", BIT(ND), false},
    {"space", "whitespace", SPACES, 0, false},
    {"xdigit", "asciihexdigit", "0-9A-Fa-f", 0, false},
    {"alpha", "alphabetic", ALPHABETIC, LETTER | BIT(NL), false},
    {"alnum", "alnum", ALPHABETIC "\\p{Nd}", LETTER | BIT(NL) | BIT(ND), false},
    {"upper", "uppercase", "\\p{Uppercase}", BIT(LU), false},
    {"lower", "lowercase", "\\p{Lowercase}\\x{10FC}\\x{A7F2}-\\x{A7F4}\\x{AB69}\\x{1E030}-\\x{1E06D}", BIT(LL), false},
    {"cntrl", "cntrl", "\\p{Cc}", 0, false},
    {"blank", "blank", "\\p{Zs}\\x{9}", 0, false},
    {"ascii", "ascii", "\\x{0}-\\x{7F}", 0, false},
    {"graph", "graph", VISIBLES, VISIBLE, false},
    {"print", "print", VISIBLES "\\p{Zs}", VISIBLE, false},
};

/* Properties that are no scripts; PCRE2 knows them by these names. */
static const char *const binary[] = {
    "defaultignorablecodepoint", "emojicomponent", "emojimodifier", "extendedpictographic", "hexdigit",
    "joincontrol", "quotationmark", "radical", "regionalindicator", "variationselector",
};

struct adding {
    struct we_buf *items;
    uint32_t categories;
};

static bool add_range(void *context, uint32_t first, uint32_t last, utf8proc_category_t category)
{
    struct adding *a = context;
    if (a->categories >> category & 1)
        we_buf_printf(a->items, first == last ? "\\x{%X}" : "\\x{%X}-\\x{%X}", first, last);
    return true;
}

static we_status put_named(const struct named_set *set, struct we_buf *items, bool *inverse, struct we_error *error)
{
    if (set->items)
        we_buf_append_c(items, set->items);
    else
        we_buf_printf(items, set->name[1] ? "\\p{%c%c}" : "\\p{%c}", toupper((unsigned char)set->name[0]), set->name[1]);
    struct adding adding = {items, set->categories};
    we_unicode_each_added(add_range, &adding);
    *inverse = set->inverse;
    return items->failed ? we_error_memory(error, "a regular expression") : WE_OK;
}

static const struct named_set *find_named(const struct named_set *sets, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(sets[i].name, name) == 0 || strcmp(sets[i].alias, name) == 0)
            return &sets[i];
    return NULL;
}

#define FIND(sets, name) find_named(sets, sizeof(sets) / sizeof((sets)[0]), name)

we_status we_regex_property(struct we_str name, struct we_buf *items, bool *inverse, struct we_error *error)
{
    char key[64];
    size_t n = 0;
    bool plain = true;
    for (size_t i = 0; i < name.length && plain; i++) {
        unsigned char c = (unsigned char)name.data[i];
        if (c == ' ' || c == '_' || c == '-')
            continue;
        plain = c < 0x80 && isalnum(c) && n + 1 < sizeof key;
        if (plain)
            key[n++] = (char)tolower(c);
    }
    key[n] = '\0';
    if (!plain || n == 0)
        return we_error_set(error, WE_UNSUPPORTED, "the character property \"%.*s\" of a regular expression", WE_STR_ARG(name));
    const struct named_set *set = strcmp(key, "word") == 0 ? &word : FIND(properties, key);
    if (set == NULL)
        set = FIND(common, key);
    if (set)
        return put_named(set, items, inverse, error);
    bool is_binary = false;
    for (size_t i = 0; i < sizeof binary / sizeof binary[0]; i++)
        is_binary = is_binary || strcmp(binary[i], key) == 0;
    *inverse = false;
    we_buf_printf(items, is_binary ? "\\p{%s}" : "\\p{sc:%s}", key);
    return items->failed ? we_error_memory(error, "a regular expression") : WE_OK;
}

we_status we_regex_posix_set(struct we_str name, struct we_buf *items, bool *inverse, struct we_error *error)
{
    static const struct named_set punct = {NULL, NULL, "\\p{P}\\p{S}", PUNCTUATION | SYMBOL, false};
    static const struct named_set plain_word = {NULL, NULL, WORDS, WORD, false};
    char key[16] = "";
    if (name.length < sizeof key)
        memcpy(key, name.data, name.length);
    const struct named_set *set = strcmp(key, "word") == 0    ? &plain_word
                                  : strcmp(key, "punct") == 0 ? &punct
                                                              : FIND(common, key);
    if (set == NULL)
        return we_error_set(error, WE_UNSUPPORTED, "the class [:%.*s:] of a regular expression", WE_STR_ARG(name));
    return put_named(set, items, inverse, error);
}
