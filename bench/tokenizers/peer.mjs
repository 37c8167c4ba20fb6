// SPDX-License-Identifier: MIT
// peer.mjs - times another tokenizer on a whole file, inside this one process
//
//   node peer.mjs WHICH MODULES MODEL FILE IDS
//     WHICH    tiktoken | tokenizers | tokenizers-batch | llama
//     MODULES  folder whose node_modules holds the packages
//     MODEL    folder with tokenizer.json; for llama a GGUF file; tiktoken has its own GPT-2
//     IDS      receives the ids, uint32 little-endian
//
// Prints one JSON object; times are seconds. "open" is importing the package and loading the
// vocabulary. "cold" is the first encoding of the whole file in the process, from a JavaScript
// string to an array of ids; "warm" the second. The file is in memory before the clock starts.
import {createRequire} from 'node:module';
import {readFileSync, writeFileSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {pathToFileURL} from 'node:url';

const [which, modules, model, file, out] = process.argv.slice(2);
const require = createRequire(join(resolve(modules), 'package.json'));
const version = name => JSON.parse(
    readFileSync(join(modules, 'node_modules', name, 'package.json'), 'utf8')).version;
const clock = () => Number(process.hrtime.bigint()) / 1e9;

// Cut a text before white space between two visible characters: ids do not depend on such a cut,
// as no pre-token of GPT-2's or BERT's lies across it.
function pieces(text, size) {
  const cut = /(?<=[^\s])(?=[ \n][^\s])/g;
  const found = [];
  let begin = 0;
  while (begin < text.length) {
    cut.lastIndex = begin + size;
    const match = cut.lastIndex < text.length ? cut.exec(text) : null;
    const end = match ? match.index : text.length;
    found.push(text.slice(begin, end));
    begin = end;
  }
  return found;
}

function tiktoken() {
  const encoding = require('tiktoken').get_encoding('gpt2');
  return {
    encode: text => encoding.encode_ordinary(text),
    decode: ids => new TextDecoder().decode(encoding.decode(ids)),
    version: version('tiktoken'),
  };
}

function tokenizers(batch) {
  const tokenizer = require('@anush008/tokenizers').Tokenizer.fromFile(
      join(model, 'tokenizer.json'));
  const plain = {addSpecialTokens: false};
  return {
    encode: batch ? async text => {
      const encodings = await tokenizer.encodeBatch(pieces(text, 4096), plain);
      return encodings.flatMap(e => e.getIds());
    } : async text => (await tokenizer.encode(text, null, plain)).getIds(),
    decode: batch ? null : ids => tokenizer.decode(ids, false),
    version: version('@anush008/tokenizers'),
  };
}

async function llama() {
  const path = require.resolve('node-llama-cpp');
  const {getLlama, LlamaLogLevel} = await import(pathToFileURL(path));
  const engine = await getLlama({gpu: false, build: 'never', logLevel: LlamaLogLevel.error});
  const loaded = await engine.loadModel({modelPath: model, vocabOnly: true});
  return {
    encode: text => loaded.tokenize(text, false, 'trimLeadingSpace'),
    decode: null,
    version: version('node-llama-cpp'),
  };
}

const text = readFileSync(file, 'utf8');
const result = {bytes: Buffer.byteLength(text)};
let start = clock();
const peer = await {
  tiktoken,
  tokenizers: () => tokenizers(false),
  'tokenizers-batch': () => tokenizers(true),
  llama,
}[which]();
result.version = peer.version;
result.open = clock() - start;
start = clock();
const ids = await peer.encode(text);
result.cold = clock() - start;
result.ids = ids.length;
writeFileSync(out, Buffer.from(Uint32Array.from(ids).buffer));
if (which === 'tiktoken') {
  start = clock();
  peer.encode(text);
  result.warm = [clock() - start];
}
if (peer.decode) {
  start = clock();
  const decoded = await peer.decode(ids);
  result.decode = [clock() - start];
  result.decoded_same = decoded === text;
}
console.log(JSON.stringify(result));
process.exit(0);
