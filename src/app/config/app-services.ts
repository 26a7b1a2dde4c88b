import { readFileSync } from 'node:fs';
import { parseDocument } from 'yaml';
import { type AppServices, createAppServices, findDuplicate } from '../../appservices/app-services.ts';
import { parseRegistration, type Registration, RegistrationError } from '../../appservices/registration.ts';
import { noticesSender } from '../notices-sender.ts';
import { reasonOf, StartError } from '../start-error.ts';
import type { Config } from './shape.ts';

const setting = 'app_service_config_files';
/** No registration is longer; what is, is another file. */
const fileLengthMax = 1_000_000;

/** Reads every registration file of the configuration. Throws StartError that names the file and the field. */
export function loadAppServices(
  config: Pick<Config, 'app_service_config_files' | 'server_name' | 'server_notices'>,
): AppServices {
  const files = config.app_service_config_files;
  const services = files.map((file, index) => readRegistration(file, config.server_name, index));
  const server = services.findIndex(({ sender }) => sender === noticesSender(config));
  if (server !== -1) {
    throw new StartError(
      `${files[server]}: sender_localpart is who speaks for the server (server_notices.localpart). Change one of the two.`,
      [setting, server],
    );
  }
  const duplicate = findDuplicate(services);
  if (duplicate) {
    const { index, earlier, field } = duplicate;
    throw new StartError(
      `${files[index]}: ${field} is also that of ${files[earlier]}. Give each service one of its own.`,
      [setting, index],
    );
  }
  return createAppServices(services);
}

function readRegistration(file: string, serverName: Config['server_name'], index: number): Registration {
  const refuse = (what: string) => new StartError(`${file}: ${what}`, [setting, index]);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw refuse(`cannot be read (${reasonOf(error)}). Name the registration file of an application service.`);
  }
  if (text.length > fileLengthMax) throw refuse(`is longer than ${fileLengthMax} characters. It is no registration.`);
  const document = parseDocument(text);
  const problem = document.errors[0];
  if (problem) throw refuse(`not valid YAML: ${problem.message.split('\n')[0]}. Let the service make it anew.`);
  try {
    return parseRegistration(document.toJS(), serverName);
  } catch (error) {
    if (!(error instanceof RegistrationError)) throw error;
    throw refuse(`${error.message}. See "Registration" in the application service API.`);
  }
}
