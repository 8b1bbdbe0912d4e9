import { isIP } from 'node:net'

const ANY_ORIGIN = '*'

/**
 * Normalizes to the form that browsers send as `Origin`: scheme and host in lower case, no default port, no trailing
 * slash. `undefined` if the text is not an origin.
 */
function parseOrigin(text: string): string | undefined {
  // The URL parser alone would also accept `https:host`, `https://host/path` and `https://user@host`.
  if (!/^https?:\/\/[^\s/?#@\\*]+\/?$/i.test(text) || !URL.canParse(text)) return undefined
  const { origin } = new URL(text)
  return origin
}

/** Parses a comma-separated list of origins: `['*']` if any of them is `*`, `undefined` if any of them is invalid. */
export function parseOrigins(list: string): string[] | undefined {
  const parts = list.split(',').map((text) => text.trim())
  const origins = parts.map((text) => (text === ANY_ORIGIN ? text : parseOrigin(text)))
  if (!origins.every((origin) => origin !== undefined)) return undefined
  return origins.includes(ANY_ORIGIN) ? [ANY_ORIGIN] : origins
}

function isAddressRange(text: string): boolean {
  if (/^(loopback|linklocal|uniquelocal)$/.test(text)) return true
  const [, address = '', bits = '0'] = /^([0-9a-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  return isIP(address) !== 0 && Number(bits) <= (isIP(address) === 4 ? 32 : 128)
}

/** Whether `TRUST_PROXY` is valid: `false`, `true`, or addresses, ranges and range names separated by commas. */
export const isTrustProxy = (setting: string): boolean =>
  setting === 'true' || setting === 'false' || setting.split(',').every((part) => isAddressRange(part.trim()))

/** Converts a valid `TRUST_PROXY` to Fastify's option. */
export const parseTrustProxy = (setting: string): boolean | string[] =>
  setting === 'true' || setting === 'false' ? setting === 'true' : setting.split(',').map((part) => part.trim())
