import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { readObjectSchema } from '../../src/schemas/object-schema.ts'
import { createSchemaStore } from '../../src/schemas/schema-cache.ts'

const FIELDS = 100

/** An object of a hundred fields. Objects of different numbers share no content. */
function objectOf(n: number) {
  const key = `custom_objects.object_${n}`
  const types = ['TEXT', 'NUMERICAL', 'DATE', 'SINGLE_OPTIONS']
  const fields = Array.from({ length: FIELDS }, (_, i) => ({
    name: `Field ${i} of ${n}`,
    fieldKey: `${key}.field_${i}_of_${n}`,
    dataType: types[i % types.length],
    options:
      i % types.length === 3
        ? [
            { key: `one_${n}`, label: 'One' },
            { key: `two_${n}`, label: 'Two' }
          ]
        : undefined
  }))
  const schema = readObjectSchema({ object: { key, labels: { singular: `Object ${n}` } }, fields })
  if (schema === undefined) throw new Error('The object is invalid')
  return schema
}
const entryOf = (n: number) => ({
  schema: objectOf(n),
  why: undefined,
  fetchedAt: 0,
  freshUntil: 1,
  usableUntil: 1,
  nextRecheckAt: 0
})

t.test('the store stays within its bound and drops the entries that were set longest ago', async (t) => {
  const max = 7 * (objectOf(10).chars + 250)
  const store = createSchemaStore(max)

  for (let n = 0; n < 20; n += 1) store.set(`location object_${n}`, entryOf(n))
  store.set('location object_14', entryOf(14))
  store.set('location object_20', entryOf(20))

  const { entries, chars } = store.size()
  t.ok(chars <= max)
  t.equal(entries, 7)
  t.equal(store.get('location object_13'), undefined)
  t.ok(store.get('location object_14'), 'it was set again')
  t.ok(store.get('location object_20'))
})

t.test('an object larger than the bound is stored alone, and dropped with the next', async (t) => {
  const store = createSchemaStore(10)

  store.set('a', entryOf(1))
  const held = store.get('a')
  store.set('b', entryOf(2))

  t.ok(held)
  t.equal(store.get('a'), undefined)
  t.equal(store.size().entries, 1)
})

t.test('schemas of equal content are stored once, until the last entry that uses them is removed', async (t) => {
  const store = createSchemaStore(1_000_000)

  for (let n = 0; n < 500; n += 1) store.set(`location_${n} object`, entryOf(1))
  const all = store.size()
  const isShared = store.get('location_1 object')?.schema === store.get('location_2 object')?.schema
  store.set('location_1 object', entryOf(2))
  const two = store.size()
  for (let n = 0; n < 500; n += 1) store.removeAll(`location_${n} `)

  t.match(all, { entries: 500, schemas: 1 })
  t.ok(isShared)
  t.match(two, { entries: 500, schemas: 2 })
  t.strictSame(store.size(), { entries: 0, schemas: 0, chars: 0 })
})

t.test('5,000 objects of 100 fields each fit into the bound, and into 200 MB of memory', async (t) => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  gc()
  const before = process.memoryUsage().heapUsed
  const store = createSchemaStore(75_000_000)

  for (let n = 0; n < 5_000; n += 1) store.set(`location object_${n}`, entryOf(n))
  gc()

  const megabytes = (process.memoryUsage().heapUsed - before) / 1024 / 1024
  t.comment(`${megabytes.toFixed(0)} MB for ${store.size().entries} objects`)
  t.comment(`${store.size().chars} characters`)
  t.equal(store.size().entries, 5_000)
  t.ok(megabytes < 200)
})
