import t, { type Test } from 'tap'
import type { TSchema } from 'typebox'
import { compileValidator } from '../../src/http/validation-errors.ts'
import { RecordPatch, RecordPath, RecordQuery, WriteHeaders } from '../../src/records/request-schemas.ts'

type Row = [value: unknown, errors: [location: string, code: string, detail: string][]]

const inBody = (pointer: string) => ({ pointer })
const inRequest = (pointer: string) => ({ parameter: pointer.slice(1) })

/** Checks the errors of each value: location, code and detail. */
function table(t: Test, schema: TSchema, locate: typeof inBody | typeof inRequest, rows: readonly Row[]): void {
  const validate = compileValidator(schema, locate)
  for (const [value, expected] of rows) {
    const errors = validate(value).map((error) => [
      'pointer' in error ? error.pointer : error.parameter,
      error.code,
      error.detail
    ])
    t.strictSame(errors, expected, JSON.stringify(value)?.slice(0, 80))
  }
}

const WHOLE = 'must be an object with properties, owner or followers'
const MEMBERS =
  'must be an object with a member for each field to change: its short key and its new value, or null to clear it'
const USERS = 'must be a list of user ids, or { "add": [...], "remove": [...] }'
const ID = 'must be a user id'
const DELTA = 'must be an object with add, remove or both'

t.test('a valid body has no errors', async (t) => {
  table(t, RecordPatch, inBody, [
    [{ properties: { any: { depth: [1] }, nothing: null } }, []],
    [{ owner: [] }, []],
    [{ owner: ['user-1'] }, []],
    [{ owner: { add: ['user-1'] }, followers: { add: [], remove: ['user_2'] } }, []],
    [{ followers: Array.from({ length: 10 }, (_, index) => `user${index}`) }, []]
  ])
})

t.test('errors of a list that is far too long cover only its beginning', async (t) => {
  const tooMany = 'must be a list of at most 10 user ids'

  table(t, RecordPatch, inBody, [
    [{ followers: new Array(50_000).fill('user') }, [['/followers', 'too-many', tooMany]]],
    [{ followers: { add: [...new Array(50_000).fill('user'), 5] } }, [['/followers/add', 'too-many', tooMany]]]
  ])
})

t.test('a body that is not an object, or is empty, gets one error about the whole body', async (t) => {
  table(t, RecordPatch, inBody, [
    ...[null, undefined, [], [{}], 'text', 17, true].map((value): Row => [value, [['', 'wrong-type', WHOLE]]]),
    [{}, [['', 'empty', WHOLE]]]
  ])
})

t.test('every unknown member is reported once, with its pointer', async (t) => {
  const unknown = (pointer: string): Row[1][number] => [pointer, 'unknown-member', 'is not allowed here']

  table(t, RecordPatch, inBody, [
    [{ owners: ['a'], properties: { a: 1 } }, [unknown('/owners')]],
    [{ one: 1, two: 2 }, [unknown('/one'), unknown('/two')]],
    [{ 'a/b': 1, 'c~d': 2, '': 3, 'e f': 4 }, [unknown('/a~1b'), unknown('/c~0d'), unknown('/'), unknown('/e f')]],
    [{ owner: { set: ['a'] } }, [unknown('/owner/set')]],
    [{ owner: { add: ['a'], 'x/y': 1 } }, [unknown('/owner/x~1y')]]
  ])
})

t.test('properties must be a non-empty object; their values are not checked here', async (t) => {
  table(t, RecordPatch, inBody, [
    ...[null, [], 'text', 17].map((properties): Row => [{ properties }, [['/properties', 'wrong-type', MEMBERS]]]),
    [{ properties: {} }, [['/properties', 'empty', MEMBERS]]]
  ])
})

t.test('errors in owner and followers are about the form that was meant, list or delta', async (t) => {
  const long = 'x'.repeat(65)

  table(t, RecordPatch, inBody, [
    ...['user', 17, null, true].map((owner): Row => [{ owner }, [['/owner', 'wrong-type', USERS]]]),
    [{ owner: ['a', 'b'] }, [['/owner', 'too-many', 'must be a list of at most 1 user ids']]],
    [{ owner: [17] }, [['/owner/0', 'wrong-type', ID]]],
    [{ owner: [''] }, [['/owner/0', 'bad-format', ID]]],
    [{ owner: [long] }, [['/owner/0', 'bad-format', ID]]],
    [{ owner: {} }, [['/owner', 'empty', DELTA]]],
    [{ owner: { add: 'a' } }, [['/owner/add', 'wrong-type', 'must be a list of at most 1 user ids']]],
    [{ owner: { add: ['a', 'b'] } }, [['/owner/add', 'too-many', 'must be a list of at most 1 user ids']]],
    [{ owner: { remove: null } }, [['/owner/remove', 'wrong-type', 'must be a list of user ids']]],
    [{ owner: { remove: ['a', '?'] } }, [['/owner/remove/1', 'bad-format', ID]]],
    [
      { followers: Array.from({ length: 11 }, () => 'a') },
      [['/followers', 'too-many', 'must be a list of at most 10 user ids']]
    ]
  ])
})

t.test('all errors in a body are listed together', async (t) => {
  table(t, RecordPatch, inBody, [
    [
      { properties: [], owner: ['a b', 5], followers: { add: 1, x: 2 }, extra: 1 },
      [
        ['/extra', 'unknown-member', 'is not allowed here'],
        ['/properties', 'wrong-type', MEMBERS],
        ['/owner/0', 'bad-format', ID],
        ['/owner/1', 'wrong-type', ID],
        ['/owner', 'too-many', 'must be a list of at most 1 user ids'],
        ['/followers/x', 'unknown-member', 'is not allowed here'],
        ['/followers/add', 'wrong-type', 'must be a list of at most 10 user ids']
      ]
    ]
  ])
})

t.test('a body with a thousand errors gets the first hundred', async (t) => {
  const validate = compileValidator(RecordPatch, inBody)
  const followers = { remove: Array.from({ length: 1_000 }, () => '?') }

  const errors = validate({ followers })

  t.ok(errors.length > 90 && errors.length <= 100, `${errors.length} errors`)
  t.ok(errors.every((error) => 'pointer' in error && error.pointer.startsWith('/followers/remove')))
})

t.test('errors in path, query and headers name the parameter', async (t) => {
  const KEY = 'must be custom_objects.<name>, business or an object id'
  const RECORD = 'must be 1 to 64 letters, digits, _ or -'
  const MILLISECONDS = 'must be a whole number of milliseconds, from 1 to 9999999'

  table(t, RecordPath, inRequest, [
    [{ schemaKey: 'custom_objects.ticket', id: '632c34b4c9b7da3358ac9891' }, []],
    [{ schemaKey: 'business', id: 'a_-' }, []],
    ...['.hidden', 'a..b', 'a/b', 'a b', '', 'x'.repeat(129), 'ä'].map(
      (schemaKey): Row => [{ schemaKey, id: 'a' }, [['schemaKey', 'bad-format', KEY]]]
    ),
    ...['', 'a.b', '../a', 'x'.repeat(65), 'a\n'].map(
      (id): Row => [{ schemaKey: 'business', id }, [['id', 'bad-format', RECORD]]]
    ),
    [
      {},
      [
        ['schemaKey', 'required', 'is required'],
        ['id', 'required', 'is required']
      ]
    ]
  ])
  table(t, RecordQuery, inRequest, [
    [{}, []],
    [{ locationId: 've9EPM428h8vShlRW1KT' }, []],
    [{ locationId: ['a', 'b'] }, [['locationId', 'wrong-type', 'must be one location id']]],
    [{ locationId: 'a b' }, [['locationId', 'bad-format', 'must be one location id']]],
    [{ locationID: 'a' }, [['locationID', 'unknown-member', 'is not allowed here']]]
  ])
  table(t, WriteHeaders, inRequest, [
    [{ 'x-request-timeout-ms': '1', 'x-other': 'a' }, []],
    ...['0', '-1', '1.5', '1e3', ' 1', '12345678', ''].map(
      (ms): Row => [{ 'x-request-timeout-ms': ms }, [['x-request-timeout-ms', 'bad-format', MILLISECONDS]]]
    )
  ])
})
