import Type from 'typebox'
import { isObject } from '../../shared/json.ts'
import type { Field, FieldReport, FieldType, File } from './field.ts'
import { deltaOf, listSchema, readList } from './lists.ts'
import { isOfFormerType } from './options.ts'
import { fileUrl, TEXT_PATTERN } from './text-rules.ts'

/** A file to remove is identified by its URL, which may be malformed. */
const readRemoved = (value: unknown, path: string, report: FieldReport): File | undefined =>
  isObject(value) && typeof value['url'] === 'string' && value['url'] !== ''
    ? { url: value['url'] }
    : readAdded(value, path, report)

/** Keeps only url and name: HighLevel rejects a write with the other members that its own reads return. */
function readAdded(value: unknown, path: string, report: FieldReport): File | undefined {
  if (!isObject(value) || typeof value['url'] !== 'string') {
    report.addError('wrong-type', 'must be a file: an object with url and, optionally, name', path)
    return undefined
  }
  const { url, name } = value
  if (!fileUrl.matches(url)) report.addError('bad-url', 'must be an http or https URL', `${path}/url`)
  if (name === undefined || name === null) return { url }
  if (typeof name === 'string') return { url, name }
  report.addError('wrong-type', 'must be a string', `${path}/name`)
  return undefined
}

const limitText = ({ maxFiles, name }: Field) => `${name} holds at most ${maxFiles} file${maxFiles === 1 ? '' : 's'}`

function hasTooMany(value: unknown, { maxFiles }: Field): boolean {
  const added = isObject(value) ? value['add'] : value
  if (!Array.isArray(added) || added.length <= maxFiles) return false
  return new Set(added.map((file: unknown) => (isObject(file) ? file['url'] : file))).size > maxFiles
}

/** The URLs that a record holds. A file stored before the field got its type may be a bare URL. */
const urlsIn = (stored: unknown): readonly string[] =>
  (Array.isArray(stored) ? stored : []).flatMap((file: unknown) => {
    const url = isObject(file) ? file['url'] : file
    return typeof url === 'string' ? [url] : []
  })

export const files: FieldType = {
  translate(value, field, report) {
    if (hasTooMany(value, field)) report.addError('too-many', limitText(field), Array.isArray(value) ? '' : '/add')
    return readList(value, report, { itemNoun: 'files', readAdded, readRemoved, identity: ({ url }) => url })
  },
  clear: (_, report) => report.addWantedList([]),
  /** Compares files by URL only: it is not known whether HighLevel would rename one. */
  diff(wanted, stored) {
    if (wanted.length === 0 && isOfFormerType(stored)) return null
    const list = wanted as readonly File[]
    const storedUrls = urlsIn(stored)
    const [isStored, isWanted] = [new Set(storedUrls), new Set(list.map(({ url }) => url))]
    return deltaOf(
      list.filter(({ url }) => !isStored.has(url)),
      storedUrls.filter((url) => !isWanted.has(url)).map((url) => ({ url }))
    )
  },
  schema: ({ maxFiles }) =>
    listSchema(
      Type.Object({
        url: Type.String({ pattern: fileUrl.pattern }),
        name: Type.Optional(Type.Union([Type.String({ pattern: TEXT_PATTERN }), Type.Null()]))
      }),
      Type.Object({ url: Type.String({ minLength: 1, pattern: TEXT_PATTERN }) }),
      Number.isFinite(maxFiles) ? maxFiles : undefined
    )
}
