// SPDX-License-Identifier: MIT
// fuzz.mjs - random Unicode through wte and through independent tokenizers; see README.md
//
// Started by run.sh. Wrong strings are made as short as they get, by leaving out code points, and
// printed. Strings hold no special tokens: Hugging Face's always read them, tiktoken here does not.
import {spawnSync} from 'node:child_process';
import {existsSync, readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join, resolve} from 'node:path';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';

const {values: options} = parseArgs({options: {
  wte: {type: 'string'}, modules: {type: 'string'}, shared: {type: 'string'},
  seed: {type: 'string', default: String(Date.now() % 1000000)},
  n: {type: 'string', default: '20000'},
  only: {type: 'string', default: 'gpt2,bert,decode'},
  gpt2: {type: 'string'}, bert: {type: 'string'}, show: {type: 'string', default: '20'},
}});
const folders = {gpt2: options.gpt2 ?? join(options.shared, 'data', 'gpt2'),
                 bert: options.bert ?? join(options.shared, 'data', 'bert')};
const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(join(resolve(options.modules), 'package.json'));
const seed = Number(options.seed);
const N = Number(options.n);

function skip(message) {
  console.error(`differential: skipped: ${message}`);
  process.exit(77);
}

// ---- random strings -------------------------------------------------------------------------

// mulberry32, public domain: a small generator with a state of 32 bits.
function generator(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

// Ranges of code points by theme. Surrogates stay out: a JSON string with a lone one is no text.
const ranges = {
  ascii: [[0x20, 0x7e]], lower: [[0x61, 0x7a]], latin: [[0xa0, 0x24f], [0x1e00, 0x1eff]],
  greek: [[0x370, 0x3ff], [0x1f00, 0x1fff]], cyrillic: [[0x400, 0x52f]],
  hebrewArabic: [[0x591, 0x5f4], [0x600, 0x6ff], [0xfb50, 0xfdff], [0xfe70, 0xfefc]],
  indic: [[0x900, 0xdff]], thaiTibetan: [[0xe00, 0xeff], [0xf00, 0xfff]],
  myanmarGeorgian: [[0x1000, 0x10ff]], jamo: [[0x1100, 0x11ff], [0x3130, 0x318f]],
  ethiopicCherokee: [[0x1200, 0x13ff]], khmerMongolian: [[0x1780, 0x18af]],
  kana: [[0x3040, 0x30ff], [0x31f0, 0x31ff], [0xff61, 0xff9f]], hangul: [[0xac00, 0xd7a3]],
  han: [[0x4e00, 0x9fff]], hanRare: [[0x3400, 0x4dbf], [0x20000, 0x2a6df], [0x2a700, 0x2ebe0],
                                     [0xf900, 0xfaff], [0x2f800, 0x2fa1d], [0x30000, 0x3134a]],
  cjkMarks: [[0x2e80, 0x2fdf], [0x3000, 0x303f], [0x3200, 0x33ff], [0xfe30, 0xfe4f],
             [0xff01, 0xff60]],
  punctuation: [[0x2010, 0x2027], [0x2030, 0x205e], [0x2e00, 0x2e52], [0x21, 0x2f], [0x3a, 0x40],
                [0x5b, 0x60], [0x7b, 0x7e]],
  symbols: [[0x20a0, 0x20bf], [0x2100, 0x23ff], [0x2460, 0x27bf], [0x2900, 0x2bff]],
  digits: [[0x30, 0x39], [0x660, 0x669], [0x6f0, 0x6f9], [0x966, 0x96f], [0x9e6, 0x9ef],
           [0xe50, 0xe59], [0xf20, 0xf33], [0x1040, 0x1049], [0x1369, 0x137c], [0x17e0, 0x17e9],
           [0x2070, 0x2089], [0x2150, 0x2189], [0x2460, 0x249b], [0x3007, 0x3007],
           [0x3021, 0x3029], [0xff10, 0xff19], [0x10107, 0x10133], [0x1d7ce, 0x1d7ff], [0xb2, 0xb3],
           [0xb9, 0xb9], [0xbc, 0xbe]],
  combining: [[0x300, 0x36f], [0x483, 0x489], [0x1ab0, 0x1ac0], [0x1dc0, 0x1df9],
              [0x20d0, 0x20f0], [0xfe00, 0xfe0f], [0xfe20, 0xfe2f], [0x3099, 0x309a]],
  emoji: [[0x1f300, 0x1f64f], [0x1f680, 0x1f6d7], [0x1f900, 0x1f9ff], [0x1f1e6, 0x1f1ff],
          [0x1f3fb, 0x1f3ff], [0x2600, 0x27bf], [0x200d, 0x200d], [0xfe0f, 0xfe0f],
          [0x20e3, 0x20e3]],
  controls: [[0x00, 0x1f], [0x7f, 0x9f]],
  format: [[0xad, 0xad], [0x200b, 0x200f], [0x202a, 0x202e], [0x2060, 0x2064], [0xfeff, 0xfeff],
           [0x61c, 0x61c], [0x180e, 0x180e], [0xe0001, 0xe0001], [0xe0020, 0xe007f],
           [0xfff9, 0xfffd]],
  spaces: [[0x20, 0x20], [0x09, 0x0d], [0x1c, 0x1f], [0x85, 0x85], [0xa0, 0xa0], [0x1680, 0x1680],
           [0x2000, 0x200a], [0x2028, 0x2029], [0x202f, 0x202f], [0x205f, 0x205f],
           [0x3000, 0x3000]],
  privateUse: [[0xe000, 0xf8ff], [0xf0000, 0xffffd], [0x100000, 0x10fffd]],
  mathOld: [[0x1d400, 0x1d7ff], [0x10000, 0x100fa], [0x10280, 0x103ff], [0x12000, 0x12399],
            [0x13000, 0x1342e], [0x16800, 0x16a38]],
  bmp: [[0x00, 0xd7ff], [0xe000, 0xffff]], any: [[0x00, 0xd7ff], [0xe000, 0x10ffff]],
};
const themes = Object.keys(ranges);
const words = [
  "'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'T", "'RE", "'Ve", "\u2019s", "'", "''s",
  "don't", "we'll", "I'd", "it's", "'tis", "'llama", " 's", " the", "the", "The", " hello", "world",
  " 123", "2024", "3.14", "1,000", "\r\n", "\n\n", "  ", "    ", "\t\t", " \n", "\n ", " \t ",
  "\u00e9", "e\u0301", "\u00c5\u0327", "\u0130", "I\u0307", "\u00df", "\u1e9e", "\ufb01", "\u03a3",
  "\u03c2", "\u01c5", "\u0390", "\ud83d\ude00", "\ud83d\udc69\u200d\ud83d\udcbb",
  "\ud83c\uddeb\ud83c\uddf7", "1\ufe0f\u20e3", "http://a.b/c?d=e&f#g", "foo_bar", "fooBar(x, y);",
  "{\"a\": [1, 2]}", "<b>", "##ing", "[x]", "...", "--", "\u2014", "\u00ab", "\u3002", "\uff0c",
  "\u4f60\u597d", "\u3053\u3093", "\ud55c\uad6d", "antidisestablishmentarianism",
  "x".repeat(99), "y".repeat(101), "\ufffd",
];

function strings(random, n) {
  const below = k => Math.floor(random() * k);
  const point = theme => {
    const list = ranges[theme];
    const [low, high] = list[below(list.length)];
    return String.fromCodePoint(low + below(high - low + 1));
  };
  const one = () => {
    // A few themes a string, so that runs of one script and their borders both occur.
    const mine = Array.from({length: 1 + below(4)}, () => themes[below(themes.length)]);
    let text = '';
    for (let rest = 1 + below(12); rest > 0; rest--) {
      const choice = random();
      if (choice < 0.25) {
        text += words[below(words.length)];
      } else if (choice < 0.45) {
        text += point(random() < 0.6 ? 'spaces' : 'punctuation');
      } else {
        const theme = mine[below(mine.length)];
        for (let run = 1 + below(random() < 0.1 ? 40 : 6); run > 0; run--) text += point(theme);
      }
    }
    return text;
  };
  return Array.from({length: n}, one);
}

// ---- the tokenizers -------------------------------------------------------------------------

function wte(command, model, lines) {
  const result = spawnSync(options.wte, [command, '-m', model, '--jsonl'], {
    input: lines.map(x => JSON.stringify(x)).join('\n') + '\n', maxBuffer: 1 << 30,
  });
  if (result.status !== 0) {
    console.error(`differential: wte ${command}: exit ${result.status ?? result.signal}: ` +
                  result.stderr);
    process.exit(1);
  }
  const found = result.stdout.toString().trimEnd().split('\n').map(x => JSON.parse(x));
  if (found.length !== lines.length) {
    console.error(`differential: wte ${command}: ${lines.length} lines gave ${found.length}`);
    process.exit(1);
  }
  return found;
}

async function references(family) {
  const read = name => JSON.parse(readFileSync(join(folders[family], name), 'utf8'));
  const {Tokenizer: Js} = require('@huggingface/tokenizers');
  const {Tokenizer: Rust} = require('@anush008/tokenizers');
  const js = new Js(read('tokenizer.json'), read('tokenizer_config.json'));
  const rust = Rust.fromFile(join(folders[family], 'tokenizer.json'));
  const found = {
    rust: async text => (await rust.encode(text, null, {addSpecialTokens: false})).getIds(),
    js: async text => js.encode(text, {add_special_tokens: false}).ids,
  };
  if (family === 'gpt2') {
    const tiktoken = require('tiktoken').get_encoding('gpt2');
    found.tiktoken = async text => Array.from(tiktoken.encode_ordinary(text));
  }
  return found;
}

// BERT's original algorithm, in Python: of each text the ids, and the characters that Python's
// Unicode version does not know. Null where there is no Python.
let pythonUnicode = null;
function original(texts) {
  const result = spawnSync('python3', [join(here, 'bert_original.py'),
                                       join(folders.bert, 'vocab.txt')],
                           {input: texts.map(x => JSON.stringify(x) + '\n').join(''),
                            maxBuffer: 1 << 30});
  if (result.error?.code === 'ENOENT') return null;
  if (result.status !== 0) {
    console.error(`differential: bert_original.py: ${result.stderr}`);
    process.exit(1);
  }
  const [version, ...found] = result.stdout.toString().trimEnd().split('\n').map(
      x => JSON.parse(x));
  pythonUnicode = version.unicode;
  return found;
}

const same = (a, b) => a.length === b.length && a.every((x, i) => x === b[i]);

// Judge wte's ids of each text. GPT-2: wrong where no reference gives them. BERT: wrong where the
// original gives others; a text with characters that its Unicode version does not know is judged
// as GPT-2's are, and left open where wte is alone.
async function judge(family, refs, texts, ids) {
  const originals = family === 'bert' ? original(texts) : null;
  const verdicts = [];
  for (let i = 0; i < texts.length; i++) {
    const found = {};
    for (const [name, encode] of Object.entries(refs)) {
      try {
        found[name] = await encode(texts[i]);
      } catch (error) {
        found[name] = [`${error}`];
      }
    }
    if (originals) found.original = originals[i].ids;
    const equal = Object.keys(found).filter(name => same(found[name], ids[i]));
    const open = originals !== null && originals[i].unknown.length > 0;
    const right = originals && !open ? equal.includes('original') : equal.length > 0;
    verdicts.push({found, equal, wrong: !right && !open, open: !right && open});
  }
  return verdicts;
}

// ---- the comparison -------------------------------------------------------------------------

// Leave out ever smaller runs of code points while the verdict stays.
async function shorten(family, refs, text) {
  let points = Array.from(text);
  for (let size = Math.ceil(points.length / 2); size >= 1 && points.length > 1;) {
    const candidates = [];
    for (let at = 0; at < points.length; at += size)
      candidates.push([...points.slice(0, at), ...points.slice(at + size)]);
    const texts = candidates.map(x => x.join(''));
    const ids = wte('tokenize', folders[family], texts).map(x => x.ids);
    const verdicts = await judge(family, refs, texts, ids);
    const better = verdicts.findIndex(v => v.wrong);
    if (better >= 0) points = candidates[better];
    else size = size === 1 ? 0 : Math.ceil(size / 2);
    size = Math.min(size, points.length);
  }
  return points.join('');
}

const escape = text => Array.from(text, c =>
  /[\x21-\x7e]/.test(c) ? c : `\\u{${c.codePointAt(0).toString(16)}}`).join('');

async function encoding(family) {
  const refs = await references(family);
  const texts = strings(generator(seed), N);
  const ids = wte('tokenize', folders[family], texts).map(x => x.ids);
  const verdicts = await judge(family, refs, texts, ids);
  const count = test => verdicts.filter(test).length;
  const failed = texts.filter((_, i) => verdicts[i].wrong);
  const all = Object.values;
  console.log(`${family}: ${N} strings; wrong: ${failed.length}; the references disagree on ` +
              count(v => !all(v.found).every(x => same(x, all(v.found)[0]))));
  for (const name of Object.keys(verdicts[0].found))
    console.log(`  wte has the ids of ${name}: ${count(v => v.equal.includes(name))}`);
  if (pythonUnicode && family === 'bert')
    console.log(`  left open, with characters unknown to Python's Unicode ${pythonUnicode}: ` +
                count(v => v.open));
  const shown = new Set();
  for (const text of failed.slice(0, 3 * Number(options.show))) {
    if (shown.size === Number(options.show)) break;
    const short = await shorten(family, refs, text);
    if (shown.has(short)) continue;
    shown.add(short);
    const mine = wte('tokenize', folders[family], [short])[0].ids;
    console.log(`  WRONG "${escape(short)}"\n    wte: ${mine}`);
    const [{found}] = await judge(family, refs, [short], [mine]);
    for (const [name, other] of Object.entries(found)) console.log(`    ${name}: ${other}`);
  }
  return failed.length;
}

// Ids that need not end where characters do: wte against tiktoken's bytes, decoded with U+FFFD.
function decoding() {
  const tiktoken = require('tiktoken').get_encoding('gpt2');
  const random = generator(seed + 1);
  const below = k => Math.floor(random() * k);
  const ids = Array.from({length: N}, () => Array.from({length: 1 + below(12)}, () =>
    random() < 0.6 ? below(256) : below(50256)));
  const utf8 = new TextDecoder('utf-8', {ignoreBOM: true});
  const texts = wte('detokenize', folders.gpt2, ids).map(x => x.text);
  let failed = 0;
  for (let i = 0; i < N; i++) {
    const other = utf8.decode(tiktoken.decode(Uint32Array.from(ids[i])));
    if (other === texts[i]) continue;
    if (failed++ < Number(options.show))
      console.log(`  WRONG [${ids[i]}]\n    wte: "${escape(texts[i])}"\n    tiktoken: ` +
                  `"${escape(other)}"`);
  }
  console.log(`decode: ${N} lists of ids; different from tiktoken: ${failed}`);
  return failed;
}

for (const name of ['@huggingface/tokenizers', '@anush008/tokenizers', 'tiktoken']) {
  try {
    require(name);
  } catch (error) {
    skip(`${name} cannot be loaded: ${error.message.split('\n')[0]}`);
  }
}
const only = options.only.split(',');
for (const family of ['gpt2', 'bert'])
  if (only.includes(family) && !existsSync(join(folders[family], 'tokenizer.json')))
    skip(`${join(folders[family], 'tokenizer.json')} is missing`);
console.log(`seed ${seed}, Unicode ${process.versions.unicode} in node ${process.version}`);
let failures = 0;
for (const part of only) {
  if (part === 'decode') failures += decoding();
  else if (part in folders) failures += await encoding(part);
  else {
    console.error(`differential: unknown part '${part}', expected gpt2, bert, decode`);
    process.exit(2);
  }
}
process.exit(failures ? 1 : 0);
