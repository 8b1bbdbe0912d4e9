import { createPublicKey, type KeyObject, verify } from 'node:crypto'

/** The key that HighLevel publishes for `x-ghl-signature` (its Webhook Integration Guide). */
export const HIGHLEVEL_WEBHOOK_KEY = 'MCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg='

/** The Ed25519 key in PEM or in base64 of its SPKI form; `undefined` where the text is no such key. */
export function parseWebhookKey(text: string): KeyObject | undefined {
  try {
    const isPem = text.includes('-----BEGIN')
    // Environment files write a PEM in one line.
    const pem = text.replaceAll('\\n', '\n')
    const key = isPem
      ? createPublicKey(pem)
      : createPublicKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'spki' })
    return key.asymmetricKeyType === 'ed25519' ? key : undefined
  } catch {
    return undefined
  }
}

/** HighLevel writes `N/A` where it has no signature of this kind. */
const SIGNATURE = /^[A-Za-z0-9+/]{86}==$/

/** Whether the key's owner signed exactly these bytes. */
export const isSigned = (key: KeyObject, raw: Buffer, signature: unknown): boolean =>
  typeof signature === 'string' && SIGNATURE.test(signature) && verify(null, raw, key, Buffer.from(signature, 'base64'))
