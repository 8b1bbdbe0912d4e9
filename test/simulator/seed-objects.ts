import type { Field, ObjectSchema } from './objects.ts'

const options = (...labels: string[]) =>
  labels.map((label) => ({ key: label.toLowerCase().replaceAll(' ', '_'), label }))

const field =
  (objectKey: string) =>
  (dataType: string, key: string, name: string, more: Partial<Field> = {}): Field => ({
    id: Buffer.from(`${key}${objectKey}`).toString('hex').slice(0, 24),
    dataType,
    name,
    fieldKey: `${objectKey}.${key}`,
    ...more
  })

const ticket = field('custom_objects.ticket')
const business = field('business')

/** The example of HighLevel's documentation, with its spelling, plus a field of each data type that it lacks. */
export const TICKET: ObjectSchema = {
  id: '661c06b4ffde146bdb469442',
  key: 'custom_objects.ticket',
  standard: false,
  labels: { singular: 'Ticket', plural: 'Tickets' },
  description: 'What customers ask for',
  primaryDisplayProperty: 'custom_objects.ticket.ticket_name',
  fields: [
    ticket('NUMERICAL', 'customer_number', 'Customer Number'),
    ticket('TEXT', 'ticket_name', 'Ticket Name'),
    ticket('PHONE', 'phone_number', 'Phone Number'),
    ticket('MONETORY', 'money', 'Money'),
    ticket('SINGLE_OPTIONS', 'type_of_ticket', 'Type Of Ticket', {
      options: options('Doubt', 'Bug', 'Feature Request')
    }),
    ticket('MULTIPLE_OPTIONS', 'section_of_app', 'Section Of App', {
      options: options('Contacts', 'Smartlist', 'Workflows', 'Calendars')
    }),
    ticket('DATE', 'recieved_on', 'Recieved On'),
    ticket('FILE_UPLOAD', 'my_files', 'My Files', { maxFileLimit: 3, acceptedFormats: 'all' }),
    ticket('TEXTBOX_LIST', 'my_textbox_list', 'My Textbox List', { options: options('Option A', 'Option B') }),
    ticket('LARGE_TEXT', 'description', 'Description'),
    ticket('RADIO', 'priority', 'Priority', { options: options('Low', 'Normal', 'High'), allowCustomOption: true }),
    ticket('CHECKBOX', 'tags', 'Tags', { options: options('Urgent', 'Needs Reply', 'Billing') }),
    ticket('EMAIL', 'contact_email', 'Contact Email'),
    ticket('TEXT', 'external_id', 'External ID', { unique: true })
  ]
}

export const BUSINESS: ObjectSchema = {
  id: '661c06b4ffde146bdb469443',
  key: 'business',
  standard: true,
  labels: { singular: 'Company', plural: 'Companies' },
  primaryDisplayProperty: 'business.name',
  fields: [
    business('TEXT', 'name', 'Company Name'),
    business('EMAIL', 'email', 'Email'),
    business('PHONE', 'phone', 'Phone'),
    business('STANDARD_FIELD', 'website', 'Website'),
    business('STANDARD_FIELD', 'city', 'City'),
    business('STANDARD_FIELD', 'postalcode', 'Postal Code')
  ]
}
