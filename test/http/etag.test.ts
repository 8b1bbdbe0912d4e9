import t from 'tap'
import { Compile } from 'typebox/compile'
import { ETagList, matchesStrongly, matchesWeakly } from '../../src/http/etag.ts'

const tags = Compile(ETagList)
const TAG = '"2026-01-01T00:00:00.000Z"'

t.test('a list of entity tags may have empty elements, spaces, and every character that a tag may have', async (t) => {
  for (const list of ['*', TAG, `W/${TAG}`, `,${TAG}`, `${TAG},`, `, ,${TAG} ,\t, "b",,`, '""', '"é\xff"', '"a,b"'])
    t.ok(tags.Check(list), JSON.stringify(list))
  for (const list of ['', ',', 'x', '"', '"a" "b"', 'w/"a"', '"a""b"', '*, "a"', '"a\x7f"', '"a b"'])
    t.notOk(tags.Check(list), JSON.stringify(list))
})

t.test('a long list of only commas is rejected quickly', async (t) => {
  t.notOk(tags.Check(' ,'.repeat(100_000)))
})

t.test('If-Match matches a strong tag in a list, and no weak tag', async (t) => {
  for (const list of ['*', TAG, `"a", ${TAG}`, `,, ${TAG} ,`, `"a,b",${TAG}`]) t.ok(matchesStrongly(list, TAG), list)
  for (const list of [`W/${TAG}`, '"a"', `"x, ${TAG.slice(1)}`]) t.notOk(matchesStrongly(list, TAG), list)
  t.notOk(matchesStrongly(TAG, undefined))
})

t.test('If-None-Match matches weak tags too; a W/ inside the quotes is part of the tag', async (t) => {
  for (const list of ['*', TAG, `W/${TAG}`, `,"a" , W/${TAG}`]) t.ok(matchesWeakly(list, TAG), list)
  t.ok(matchesWeakly('"W/1"', '"W/1"'))
  t.notOk(matchesWeakly('"W/1"', '"1"'))
  t.notOk(matchesWeakly('W/"W/1"', '"1"'))
  t.notOk(matchesWeakly(undefined, TAG))
})
