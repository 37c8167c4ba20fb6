// SPDX-License-Identifier: MIT
// llama.mjs - times llama.cpp on a GPT-2, inside this one process
//
//   node llama.mjs MODULES MODEL.gguf THREADS CASE...
//     MODULES  folder whose node_modules holds node-llama-cpp
//     CASE     decode:CONTEXT:NEW:N | prefill:TOKENS:N, as in bench_network.c
//
// The binding's own batch calls are used, below its queues and samplers, so that the clock holds the
// evaluation of the tokens and nothing that chooses one: llama_decode with the logits of the last
// token. No GPU, batches of 512, the library's defaults otherwise (keys and values float16). Prints
// one JSON object as bench_network does; each case runs once untimed before.
import {createRequire} from 'node:module';
import {readFileSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {pathToFileURL} from 'node:url';

const [modules, modelPath, threadsText, ...cases] = process.argv.slice(2);
const require = createRequire(join(resolve(modules), 'package.json'));
const clock = () => Number(process.hrtime.bigint()) / 1e9;
const threads = Number(threadsText);

let start = clock();
const {getLlama, LlamaLogLevel} = await import(pathToFileURL(require.resolve('node-llama-cpp')));
const llama = await getLlama({gpu: false, build: 'never', maxThreads: threads,
                              logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath, gpuLayers: 0});
const context = await model.createContext({contextSize: 1024, batchSize: 512, threads});
const inner = context._ctx;
inner.setThreads(threads);
const open = clock() - start;
const token = i => (464 + 104729 * i) % 50256;

// Run n tokens from place `begin`, with the logits of the last of them.
async function run(begin, n) {
  for (let done = 0; done < n; done += 512) {
    const size = Math.min(512, n - done);
    const ids = Uint32Array.from({length: size}, (_, i) => token(begin + done + i));
    inner.initBatch(size);
    inner.addToBatch(0, begin + done, ids,
                     Uint32Array.from(done + size === n ? [size - 1] : []));
    await inner.decodeBatch();
  }
}

async function decode(at, steps) {
  inner.removeTokenCellsFromSequence(0, at, -1);
  const start = clock();
  for (let i = 0; i < steps; i++)
    await run(at + i, 1);
  return clock() - start;
}

async function prefill(n) {
  inner.disposeSequence(0);
  const start = clock();
  await run(0, n);
  return clock() - start;
}

const results = [];
for (const text of cases) {
  const [kind, ...numbers] = text.split(':');
  const [first, second, third] = numbers.map(Number);
  const seconds = [];
  if (kind === 'decode') {
    await prefill(first);
    await decode(first, 2);
    for (let i = 0; i < third; i++)
      seconds.push(await decode(first, second));
  } else if (kind === 'prefill') {
    await prefill(first);
    for (let i = 0; i < second; i++)
      seconds.push(await prefill(first));
  } else {
    throw new Error(`there is no case '${text}'`);
  }
  results.push({case: text, seconds});
}
inner.disposeSequence(0);

// The token with the largest logit after the last case's prompt, by the binding's own sampler.
const last = cases[cases.length - 1].split(':').map(Number)[1];
const sequence = context.getSequence();
const prompt = Array.from({length: last}, (_, i) => token(i));
for await (const id of sequence.evaluate(prompt, {temperature: 0})) {
  results[results.length - 1].next = id;
  break;
}
console.log(JSON.stringify({
  open, cases: results, threads: inner.getThreads(), system: llama.systemInfo,
  version: JSON.parse(readFileSync(
      join(modules, 'node_modules', 'node-llama-cpp', 'package.json'), 'utf8')).version,
}));
process.exit(0);
