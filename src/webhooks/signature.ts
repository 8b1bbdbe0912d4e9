import { createPublicKey, type KeyObject, verify } from 'node:crypto'

/** The public key that HighLevel's Webhook Integration Guide gives for `x-ghl-signature`. */
export const HIGHLEVEL_WEBHOOK_KEY = 'MCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg='

/** Parses an Ed25519 public key, as PEM or as the base64 of its SPKI form. `undefined` if the text is neither. */
export function parseWebhookKey(text: string): KeyObject | undefined {
  try {
    const isPem = text.includes('-----BEGIN')
    // Environment files write a PEM on one line.
    const pem = text.replaceAll('\\n', '\n')
    const key = isPem
      ? createPublicKey(pem)
      : createPublicKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'spki' })
    return key.asymmetricKeyType === 'ed25519' ? key : undefined
  } catch {
    return undefined
  }
}

/** The base64 of 64 bytes. HighLevel writes `N/A` if it has no signature of this kind. */
const SIGNATURE = /^[A-Za-z0-9+/]{86}==$/

/** Whether the owner of the key signed exactly these bytes. */
export const isSignatureValid = (key: KeyObject, rawBody: Buffer, signature: unknown): boolean =>
  typeof signature === 'string' &&
  SIGNATURE.test(signature) &&
  verify(null, rawBody, key, Buffer.from(signature, 'base64'))
