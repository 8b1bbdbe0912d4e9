import { isIP } from 'node:net'

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
