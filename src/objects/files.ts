import Type from 'typebox'
import type { Field, FieldType, File, Notes } from './field.ts'
import { deltaOf, listSchema, readList } from './lists.ts'

const isUrl = (text: string) => /^https?:\/\/[^\s/]/i.test(text) && URL.canParse(text)

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What else a file may have, as reads give it, HighLevel refuses in a write: URL and name alone are sent. */
function readFile(value: unknown, path: string, notes: Notes): File | undefined {
  if (!isObject(value) || typeof value['url'] !== 'string') {
    notes.fault('wrong-type', 'must be a file: an object with its url, and a name if wanted', path)
    return undefined
  }
  const { url, name } = value
  if (!isUrl(url)) notes.fault('bad-url', 'must be an http or https URL', `${path}/url`)
  if (name === undefined || name === null) return { url }
  if (typeof name === 'string') return { url, name }
  notes.fault('wrong-type', 'must be a text', `${path}/name`)
  return undefined
}

const most = ({ maxFiles, name }: Field) => `${name} holds at most ${maxFiles} file${maxFiles === 1 ? '' : 's'}`

function isTooMany(value: unknown, { maxFiles }: Field): boolean {
  const added = isObject(value) ? value['add'] : value
  return Array.isArray(added) && added.length > maxFiles
}

/** What a record holds. It may be a bare URL where it is older than the field's type. */
const heldFiles = (stored: unknown): readonly { url: string; name: unknown }[] =>
  (Array.isArray(stored) ? stored : []).flatMap((one) => {
    if (typeof one === 'string') return [{ url: one, name: undefined }]
    return isObject(one) && typeof one['url'] === 'string' ? [{ url: one['url'], name: one['name'] }] : []
  })

export const files: FieldType = {
  read(value, field, notes) {
    if (isTooMany(value, field)) notes.fault('too-many', most(field), Array.isArray(value) ? '' : '/add')
    return readList(value, notes, { of: 'files', entry: readFile, identity: ({ url }) => url })
  },
  clear: (_, notes) => notes.want([]),
  difference(wanted, stored) {
    const held = heldFiles(stored)
    const list = wanted as readonly File[]
    const isHeld = ({ url, name }: File) =>
      held.some((one) => one.url === url && (name === undefined || one.name === name))
    const isUnwanted = ({ url }: { url: string }) => !list.some((file) => file.url === url)
    return deltaOf(
      list.filter((file) => !isHeld(file)),
      held.filter(isUnwanted).map(({ url }) => ({ url }))
    )
  },
  schema: ({ maxFiles }) =>
    listSchema(
      Type.Object({
        url: Type.String({ format: 'uri', pattern: '^[Hh][Tt][Tt][Pp][Ss]?://[^\\s/]' }),
        name: Type.Optional(Type.Union([Type.String(), Type.Null()]))
      }),
      Number.isFinite(maxFiles) ? maxFiles : undefined
    )
}
