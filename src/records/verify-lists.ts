import type { Field } from '../schemas/fields/field.ts'
import { isObject } from '../shared/json.ts'
import { normalizeText } from './same-value.ts'

type List = readonly unknown[]

const urlOf = (file: unknown): string | undefined => {
  const url = isObject(file) ? file['url'] : file
  return typeof url === 'string' ? url : undefined
}

/** Lists are short most often: a set costs more than a look through one. */
const SHORT = 16

/** Those names of `list` that `other` lacks. */
function without(list: List, other: List): List {
  if (list.length === 0 || list.length * other.length <= SHORT * SHORT)
    return list.filter((one) => !other.includes(one))
  const held = new Set(other)
  return list.filter((one) => !held.has(one))
}

/** An option that was to go is there under the very name by which it was removed. */
export function keepsOption(remove: List, add: List, stored: List): boolean {
  if (remove.length === 0) return false
  const leaving = without(remove, add).filter((one) => typeof one === 'string')
  return without(leaving, stored).length < leaving.length
}

/** An option that was to come is not there, neither by its key nor by its label. */
export function lacksOption(add: List, stored: List, field: Field | undefined): boolean {
  const missing = without(add, stored).filter((one) => typeof one === 'string')
  if (missing.length === 0 || stored.some((one) => typeof one !== 'string')) return false
  const keyOf = (text: unknown) => field?.options.keyOf.get(String(text))
  const keys = new Set(stored.map(keyOf))
  const texts = new Set(stored.filter((text) => keyOf(text) === undefined).map((text) => normalizeText(String(text))))
  return missing.some((text) => {
    const key = keyOf(text)
    return !(key !== undefined && keys.has(key)) && !texts.has(normalizeText(key ?? String(text)))
  })
}

/** Where HighLevel keeps files of its own: a copy may get any name there. */
const STORES = /(^|\.)(googleapis\.com|leadconnectorhq\.com|msgsndr\.com|filesafe\.space)$/

/** What a file is compared by, each parsed once: every file that is missing is held against every one that came. */
interface Shape {
  url: URL | undefined
  /** The last part of its path, escapes and signs aside. */
  file: string
  /** As it is called beside its URL. */
  name: unknown
}

function shapeOf(file: unknown): Shape {
  const text = urlOf(file) ?? ''
  const url = URL.canParse(text) ? new URL(text) : undefined
  const last = url?.pathname.replace(/^.*\//, '').replace(/%[0-9a-f]{2}/gi, '') ?? ''
  return { url, file: normalizeText(last), name: isObject(file) ? file['name'] : undefined }
}

/** Whether HighLevel may show the one file as the other, with another URL: it copies files to servers of its own. */
function mayBe(sent: Shape, stored: Shape): boolean {
  if (sent.url === undefined || stored.url === undefined) return true
  if (sent.url.host !== stored.url.host || STORES.test(stored.url.hostname)) return true
  return stored.file.includes(sent.file) || (typeof sent.name === 'string' && stored.name === sent.name)
}

/** Longer lists are counted alone. */
const MAX_PAIRS = 10_000

const urlsOf = (files: List): List => (files.length === 0 ? files : files.map(urlOf))

/**
 * A file that was to come is not there, neither under its URL nor is there one that may be it under another; or one
 * that was to go is, and is not that other. What else the record held `before` is no file that came.
 */
export function lacksFileChange(add: List, remove: List, stored: List, before: List): boolean {
  const [added, leaving, held] = [urlsOf(add), urlsOf(remove), urlsOf(stored)]
  const missing = new Set(without(added, held))
  if (missing.size === 0 && without(leaving, held).length === leaving.length) return false
  const [comes, leaves, known] = [new Set(added), new Set(leaving), new Set(urlsOf(before))]
  const others = stored.filter((one) => !comes.has(urlOf(one)))
  const kept = others.filter((one) => leaves.has(urlOf(one)))
  const came = others.filter((one) => leaves.has(urlOf(one)) || !known.has(urlOf(one)))
  if (kept.length > missing.size || came.length < missing.size) return true
  if (missing.size * came.length > MAX_PAIRS) return false
  const shapes = came.map(shapeOf)
  return add
    .filter((file) => missing.has(urlOf(file)))
    .map(shapeOf)
    .some((file) => !shapes.some((one) => mayBe(file, one)))
}
