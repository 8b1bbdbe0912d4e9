const ANY_ORIGIN = '*'

/**
 * What a browser sends as `Origin` from there: scheme and host in lower case, the port where it is not the scheme's own,
 * no slash at the end. `undefined` for what is no origin.
 */
function originOf(text: string): string | undefined {
  // The parser alone would take `https:host`, `https://host/path` and `https://user@host`.
  if (!/^https?:\/\/[^\s/?#@\\*]+\/?$/i.test(text) || !URL.canParse(text)) return undefined
  const { origin } = new URL(text)
  return origin
}

/** The origins that a list separated by commas names, `['*']` where one of them is `*`; `undefined` where it is no such list. */
export function readOrigins(list: string): string[] | undefined {
  const texts = list.split(',').map((text) => text.trim())
  const origins = texts.map((text) => (text === ANY_ORIGIN ? text : originOf(text)))
  if (!origins.every((origin) => origin !== undefined)) return undefined
  return origins.includes(ANY_ORIGIN) ? [ANY_ORIGIN] : origins
}
