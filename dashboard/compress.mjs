// compress.mjs FROM TO: puts a built site where it is embedded, each text as brotli and as gzip, and small pages as they are.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const [from, to] = process.argv.slice(2);
for (const old of readdirSync(to)) if (old !== '.gitignore') rmSync(join(to, old), { recursive: true });
for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const source = join(entry.parentPath, entry.name);
  const target = join(to, relative(from, source));
  const bytes = readFileSync(source);
  mkdirSync(dirname(target), { recursive: true });
  if (/\.(js|css|svg|html)$/.test(entry.name) && bytes.length > 1024) {
    writeFileSync(`${target}.br`, brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }));
    writeFileSync(`${target}.gz`, gzipSync(bytes, { level: 9 }));
  }
  if (bytes.length <= 1024 || !/\.(js|css)$/.test(entry.name)) writeFileSync(target, bytes);
}
