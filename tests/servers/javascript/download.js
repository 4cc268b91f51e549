// Lists a repository and downloads its files: node download.js ENDPOINT TOKEN KIND/OWNER/NAME REVISION FOLDER
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { downloadFile, listFiles } from "@huggingface/hub";

const [hubUrl, accessToken, designation, revision, folder] = process.argv.slice(2);
const [kind, ...id] = designation.split("/");
const repo = { type: kind.slice(0, -1), name: id.join("/") };
const listed = [];
for await (const file of listFiles({ repo, revision, hubUrl, accessToken, recursive: true })) {
  if (file.type !== "file") continue;
  // The folder store of xet is one for hf-xet only.
  const content = await downloadFile({ repo, path: file.path, revision, hubUrl, accessToken, xet: false });
  const target = join(folder, file.path);
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, Buffer.from(await content.arrayBuffer()));
  listed.push({ path: file.path, size: file.size, sha256: file.lfs?.oid ?? null });
}
console.log(JSON.stringify(listed));
