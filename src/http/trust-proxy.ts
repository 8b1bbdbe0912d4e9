import { isIP } from 'node:net'

function isAddressRange(text: string): boolean {
  if (/^(loopback|linklocal|uniquelocal)$/.test(text)) return true
  const [, address = '', bits = '0'] = /^([0-9a-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  return isIP(address) !== 0 && Number(bits) <= (isIP(address) === 4 ? 32 : 128)
}

/** Whether a `TRUST_PROXY` can be used: `false`, `true`, or addresses, ranges and names of ranges between commas. */
export const isTrustProxy = (setting: string): boolean =>
  setting === 'true' || setting === 'false' || setting.split(',').every((part) => isAddressRange(part.trim()))

/** The setting in Fastify's form. */
export const trustProxy = (setting: string): boolean | string[] =>
  setting === 'true' || setting === 'false' ? setting === 'true' : setting.split(',').map((part) => part.trim())
