import type { Field } from '../schemas/fields/field.ts'
import { isObject } from '../shared/json.ts'
import { normalizeText } from './same-value.ts'

type List = readonly unknown[]

const urlOf = (file: unknown): string | undefined => {
  const url = isObject(file) ? file['url'] : file
  return typeof url === 'string' ? url : undefined
}

/** Most lists are short, and scanning a short list costs less than building a set. */
const SHORT = 16

/** The items of `list` that `other` lacks. */
function without(list: List, other: List): List {
  if (list.length === 0 || list.length * other.length <= SHORT * SHORT)
    return list.filter((item) => !other.includes(item))
  const others = new Set(other)
  return list.filter((item) => !others.has(item))
}

/** Whether a removed option is still stored under the very string by which it was removed. */
export function stillHoldsOption(remove: List, add: List, stored: List): boolean {
  if (remove.length === 0) return false
  const removed = without(remove, add).filter((item) => typeof item === 'string')
  return without(removed, stored).length < removed.length
}

/** Whether an added option is stored neither by its key nor by its label. */
export function lacksAddedOption(add: List, stored: List, field: Field | undefined): boolean {
  const missing = without(add, stored).filter((item) => typeof item === 'string')
  if (missing.length === 0 || stored.some((item) => typeof item !== 'string')) return false
  const keyOf = (text: unknown) => field?.options.keyOf.get(String(text))
  const keys = new Set(stored.map(keyOf))
  const otherTexts = stored.filter((text) => keyOf(text) === undefined)
  const texts = new Set(otherTexts.map((text) => normalizeText(String(text))))
  return missing.some((text) => {
    const key = keyOf(text)
    return !(key !== undefined && keys.has(key)) && !texts.has(normalizeText(key ?? String(text)))
  })
}

/** Hosts where HighLevel stores its own files. A copy may get any name there. */
const HIGHLEVEL_STORAGE = /(^|\.)(googleapis\.com|leadconnectorhq\.com|msgsndr\.com|filesafe\.space)$/

/** What files are compared by. Parsed once for each file, because every missing file is compared with every new one. */
interface FileIdentity {
  url: URL | undefined
  /** The last segment of the path, normalized, without escapes. */
  fileName: string
  /** The name that is given beside the URL. */
  name: unknown
}

function identityOf(file: unknown): FileIdentity {
  const text = urlOf(file) ?? ''
  const url = URL.canParse(text) ? new URL(text) : undefined
  const segment = url?.pathname.replace(/^.*\//, '').replace(/%[0-9a-f]{2}/gi, '') ?? ''
  return { url, fileName: normalizeText(segment), name: isObject(file) ? file['name'] : undefined }
}

/** Whether `stored` may be the sent file under another URL: HighLevel copies files to its own servers. */
function maybeSameFile(sent: FileIdentity, stored: FileIdentity): boolean {
  if (sent.url === undefined || stored.url === undefined) return true
  if (sent.url.host !== stored.url.host || HIGHLEVEL_STORAGE.test(stored.url.hostname)) return true
  return stored.fileName.includes(sent.fileName) || (typeof sent.name === 'string' && stored.name === sent.name)
}

/** Beyond this many comparisons, files are only counted. */
const MAX_PAIRS = 10_000

const urlsOf = (files: List): List => (files.length === 0 ? files : files.map(urlOf))

/**
 * Whether an added file is missing or a removed file is still stored. HighLevel may store an added file under another
 * URL: any stored file may be it that the record did not hold `before`, or that has the URL of a removed file.
 */
export function lacksFileChange(add: List, remove: List, stored: List, before: List): boolean {
  const [addedUrls, removedUrls, storedUrls] = [urlsOf(add), urlsOf(remove), urlsOf(stored)]
  const missing = new Set(without(addedUrls, storedUrls))
  if (missing.size === 0 && without(removedUrls, storedUrls).length === removedUrls.length) return false
  const [isAdded, isRemoved, isOld] = [new Set(addedUrls), new Set(removedUrls), new Set(urlsOf(before))]
  const others = stored.filter((file) => !isAdded.has(urlOf(file)))
  const notRemoved = others.filter((file) => isRemoved.has(urlOf(file)))
  const candidates = others.filter((file) => isRemoved.has(urlOf(file)) || !isOld.has(urlOf(file)))
  if (notRemoved.length > missing.size || candidates.length < missing.size) return true
  if (missing.size * candidates.length > MAX_PAIRS) return false
  const identities = candidates.map(identityOf)
  return add
    .filter((file) => missing.has(urlOf(file)))
    .map(identityOf)
    .some((sent) => !identities.some((candidate) => maybeSameFile(sent, candidate)))
}
