import t from 'tap'
import { Compile } from 'typebox/compile'
import { isKnown, namesTag, Tags } from '../../src/http/etag.ts'

const tags = Compile(Tags)
const TAG = '"2026-01-01T00:00:00.000Z"'

t.test('a list of entity tags may have empty members, blanks, and all characters of a tag', async (t) => {
  for (const list of ['*', TAG, `W/${TAG}`, `,${TAG}`, `${TAG},`, `, ,${TAG} ,\t, "b",,`, '""', '"é\xff"', '"a,b"'])
    t.ok(tags.Check(list), JSON.stringify(list))
  for (const list of ['', ',', 'x', '"', '"a" "b"', 'w/"a"', '"a""b"', '*, "a"', '"a\x7f"', '"a b"'])
    t.notOk(tags.Check(list), JSON.stringify(list))
})

t.test('a list of nothing but commas is refused as fast as any other', async (t) => {
  t.notOk(tags.Check(' ,'.repeat(100_000)))
})

t.test('If-Match names a strong tag among others', async (t) => {
  for (const list of ['*', TAG, `"a", ${TAG}`, `,, ${TAG} ,`, `"a,b",${TAG}`]) t.ok(namesTag(list, TAG), list)
  for (const list of [`W/${TAG}`, '"a"', `"x, ${TAG.slice(1)}`]) t.notOk(namesTag(list, TAG), list)
  t.notOk(namesTag(TAG, undefined))
})

t.test('If-None-Match takes weak tags as well, and W/ inside the quotes is a part of the tag', async (t) => {
  for (const list of ['*', TAG, `W/${TAG}`, `,"a" , W/${TAG}`]) t.ok(isKnown(list, TAG), list)
  t.ok(isKnown('"W/1"', '"W/1"'))
  t.notOk(isKnown('"W/1"', '"1"'))
  t.notOk(isKnown('W/"W/1"', '"1"'))
  t.notOk(isKnown(undefined, TAG))
})
