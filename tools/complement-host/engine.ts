import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Container } from './container.ts';
import { EngineError } from './engine-error.ts';
import { hostsFor } from './hosts.ts';
import type { Launch } from './launch.ts';
import { publishedAddress } from './published-port.ts';

export type Labels = Readonly<Record<string, string>>;

/** A copy of a stopped container's files, for new containers to start from. */
export interface Image {
  readonly id: string;
  readonly tag: string;
  readonly labels: Labels;
  readonly driver: string;
  readonly root: string;
}

export interface Network {
  readonly id: string;
  readonly name: string;
  readonly labels: Labels;
}

export interface ContainerRequest {
  readonly name: string;
  readonly imageName: string;
  readonly labels: Labels;
  readonly environment: Readonly<Record<string, string>>;
  readonly network: string;
  readonly aliases: readonly string[];
  readonly extraHosts: ReadonlyMap<string, string>;
}

export interface EngineOptions {
  /** For the files of containers and images. */
  readonly directory: string;
  /** For one log file per container. */
  readonly logDirectory: string;
  /** Image name → executable that runs the homeserver; '' for any other image. */
  readonly drivers: ReadonlyMap<string, string>;
  readonly launch: Launch;
  readonly warn: (message: string) => void;
}

/** Addresses that one engine gives out: the last byte of its network. */
const containersMax = 254;

/** Containers, images and networks as Complement knows them: a network is the set of containers that know each other by name. */
export class Engine {
  readonly #options: EngineOptions;
  readonly #containers = new Map<string, Container>();
  readonly #images = new Map<string, Image>();
  readonly #networks = new Map<string, Network>();
  #lastAddress = 0;

  constructor(options: EngineOptions) {
    this.#options = options;
  }

  listContainers(): readonly Container[] {
    return [...this.#containers.values()];
  }

  listImages(): readonly Image[] {
    return [...this.#images.values()];
  }

  listNetworks(): readonly Network[] {
    return [...this.#networks.values()];
  }

  /** By id or name; throws EngineError 404. */
  getContainer(idOrName: string): Container {
    const container = this.#containers.get(idOrName) ?? this.#findByName(idOrName);
    if (!container) throw new EngineError(404, `No such container: ${idOrName}`);
    return container;
  }

  async createContainer(request: ContainerRequest): Promise<Container> {
    const { name, imageName } = request;
    if (this.#findByName(name)) throw new EngineError(409, `The container name "${name}" is already in use`);
    const { directory, logDirectory, launch, warn } = this.#options;
    const image = this.#images.get(imageName);
    const id = newId();
    const container = new Container({
      ...request,
      id,
      labels: { ...image?.labels, ...request.labels },
      address: this.#newAddress(),
      driver: image?.driver ?? this.#getDriver(imageName),
      directory: join(directory, 'containers', id),
      logFile: join(logDirectory, `${name}-${id.slice(0, 12)}.log`),
      launch,
      warn,
    });
    this.#containers.set(id, container); // its name and its address are taken from now on
    try {
      await container.prepare(image?.root);
    } catch (error) {
      await this.removeContainer(container);
      throw error;
    }
    this.#introduce(request.network);
    return container;
  }

  async removeContainer(container: Container): Promise<void> {
    this.#containers.delete(container.properties.id);
    await container.remove();
    this.#introduce(container.properties.network);
  }

  /** Throws EngineError 409 for a running container, whose files may change meanwhile. */
  async commit(container: Container, request: { tag: string; labels: Labels }): Promise<Image> {
    const { name, labels, driver } = container.properties;
    if (container.isRunning) throw new EngineError(409, `Container ${name} is running, its files may change`);
    const id = newId();
    const image: Image = {
      id: `sha256:${id}`,
      tag: request.tag,
      labels: { ...labels, ...request.labels },
      driver,
      root: join(this.#options.directory, 'images', id),
    };
    await cp(container.root, image.root, { recursive: true });
    this.#images.set(image.id, image);
    return image;
  }

  async removeImage(id: string): Promise<void> {
    const image = this.#images.get(id);
    if (!image) throw new EngineError(404, `No such image: ${id}`);
    this.#images.delete(id);
    await rm(image.root, { recursive: true, force: true });
  }

  createNetwork(request: { name: string; labels: Labels }): Network {
    const network = { id: newId(), ...request };
    this.#networks.set(network.id, network);
    return network;
  }

  removeNetwork(id: string): void {
    if (!this.#networks.delete(id)) throw new EngineError(404, `No such network: ${id}`);
  }

  async stop(): Promise<void> {
    await Promise.all(this.listContainers().map((container) => this.removeContainer(container)));
  }

  /** Tells the containers of a network each other's addresses. */
  #introduce(network: string): void {
    const machine = { hosts: readFileSync('/etc/hosts', 'utf8'), gateway: publishedAddress };
    const members = this.listContainers().filter(({ properties }) => properties.network === network);
    const neighbours = members.map(({ properties }) => properties);
    for (const member of members) member.setHosts(hostsFor(member.properties, neighbours, machine));
  }

  #findByName(name: string): Container | undefined {
    return this.listContainers().find(({ properties }) => properties.name === name);
  }

  #getDriver(imageName: string): string {
    const { drivers } = this.#options;
    const driver = drivers.get(imageName.replace(/:[^:/]*$/, '')) ?? drivers.get('');
    if (driver === undefined) throw new EngineError(404, `No such image: ${imageName}, and no --driver for it`);
    return driver;
  }

  /** An address that no other container has, nor one of another process that runs this tool. */
  #newAddress(): string {
    const network = `127.${1 + ((process.pid >> 8) & 127)}.${process.pid & 255}`;
    const taken = new Set(this.listContainers().map(({ properties }) => properties.address));
    for (let attempt = 0; attempt < containersMax; attempt++) {
      this.#lastAddress = (this.#lastAddress % containersMax) + 1;
      const address = `${network}.${this.#lastAddress}`;
      if (!taken.has(address)) return address;
    }
    throw new EngineError(500, 'There are too many containers');
  }
}

function newId(): string {
  return randomBytes(32).toString('hex');
}
