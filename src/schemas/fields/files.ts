import Type from 'typebox'
import { isObject } from '../../shared/is-object.ts'
import type { Field, FieldReport, FieldType, File } from './field.ts'
import { deltaOf, listSchema, readList } from './lists.ts'
import { isLeftover } from './options.ts'
import { fileUrl, TEXT } from './text-rules.ts'

/** A file that goes is known by its URL, whatever that looks like. */
const readLeaving = (value: unknown, path: string, notes: FieldReport): File | undefined =>
  isObject(value) && typeof value['url'] === 'string' && value['url'] !== ''
    ? { url: value['url'] }
    : readFile(value, path, notes)

/** What else a file may have, as reads give it, HighLevel refuses in a write: URL and name alone are sent. */
function readFile(value: unknown, path: string, notes: FieldReport): File | undefined {
  if (!isObject(value) || typeof value['url'] !== 'string') {
    notes.fault('wrong-type', 'must be a file: an object with its url, and a name if wanted', path)
    return undefined
  }
  const { url, name } = value
  if (!fileUrl.holds(url)) notes.fault('bad-url', 'must be an http or https URL', `${path}/url`)
  if (name === undefined || name === null) return { url }
  if (typeof name === 'string') return { url, name }
  notes.fault('wrong-type', 'must be a text', `${path}/name`)
  return undefined
}

const most = ({ maxFiles, name }: Field) => `${name} holds at most ${maxFiles} file${maxFiles === 1 ? '' : 's'}`

function isTooMany(value: unknown, { maxFiles }: Field): boolean {
  const added = isObject(value) ? value['add'] : value
  if (!Array.isArray(added) || added.length <= maxFiles) return false
  return new Set(added.map((one: unknown) => (isObject(one) ? one['url'] : one))).size > maxFiles
}

/** The URLs that a record holds. An entry may be a bare one where it is older than the field's type. */
const heldUrls = (stored: unknown): readonly string[] =>
  (Array.isArray(stored) ? stored : []).flatMap((one: unknown) => {
    const url = isObject(one) ? one['url'] : one
    return typeof url === 'string' ? [url] : []
  })

export const files: FieldType = {
  read(value, field, notes) {
    if (isTooMany(value, field)) notes.fault('too-many', most(field), Array.isArray(value) ? '' : '/add')
    return readList(value, notes, { of: 'files', entry: readFile, leaving: readLeaving, identity: ({ url }) => url })
  },
  clear: (_, notes) => notes.want([]),
  /** A file is the same where its URL is: whether HighLevel would rename one is not known. */
  difference(wanted, stored) {
    if (wanted.length === 0 && isLeftover(stored)) return null
    const list = wanted as readonly File[]
    const held = heldUrls(stored)
    const [isHeld, isWanted] = [new Set(held), new Set(list.map(({ url }) => url))]
    return deltaOf(
      list.filter(({ url }) => !isHeld.has(url)),
      held.filter((url) => !isWanted.has(url)).map((url) => ({ url }))
    )
  },
  schema: ({ maxFiles }) =>
    listSchema(
      Type.Object({
        url: Type.String({ pattern: fileUrl.pattern }),
        name: Type.Optional(Type.Union([Type.String({ pattern: TEXT }), Type.Null()]))
      }),
      Type.Object({ url: Type.String({ minLength: 1, pattern: TEXT }) }),
      Number.isFinite(maxFiles) ? maxFiles : undefined
    )
}
