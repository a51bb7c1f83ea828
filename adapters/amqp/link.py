"""One connection to a broker, driven by its caller's thread: pika's SelectConnection, turned only inside our calls.

pika's BlockingConnection waits for the confirm of each message by itself and has no limit on its waits; here a batch
waits once, and every wait ends. Nothing runs between two calls, thus no heartbeat either: a broker that hears nothing
for two intervals hangs up, which the next call finds and mends.
"""

from __future__ import annotations

import logging
import ssl
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from adapters.amqp.options import Options
from hub.contract import Ground
from hub.errors import AdapterError, DeclarationError, Unreachable, Untrusted

if TYPE_CHECKING:
    import pika

#: Seconds for an orderly end of a connection; then it is cut.
FAREWELL = 1.0

_CUT = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
_PORTS = {"amqp": 5672, "amqps": 5671}

Step = Callable[[Callable[..., None]], object]
"""One request to the broker on the new channel; it calls what it is given when the broker has answered."""
Prepare = Callable[[Any], Sequence[Step]]
"""The steps after which a new channel is ready."""


def parameters(endpoint: str, options: Options, ground: Ground) -> pika.ConnectionParameters:
    """Where and how to connect. Raises DeclarationError, without any secret, when that cannot be had."""
    if find_spec("pika") is None:
        raise DeclarationError(f"endpoint {endpoint}: the amqp adapter needs pika: pip install 'eport-hub[amqp]'")
    import pika

    if logging.getLogger("pika").level == logging.NOTSET:
        # It logs every refused connection as an error; what became of a connection is told by our own faults.
        logging.getLogger("pika").setLevel(logging.CRITICAL)
    try:
        url = urlsplit(ground.secret(options.url))
        host, port = url.hostname, url.port
    except (OSError, ValueError) as fault:
        raise DeclarationError(f"endpoint {endpoint}: url: {_safely(fault)}") from None
    if url.scheme not in _PORTS or not host or url.query or url.fragment:
        raise DeclarationError(f"endpoint {endpoint}: url is not of the form amqps://user:password@host:port/vhost")
    if url.username:
        login = pika.PlainCredentials(unquote(url.username), unquote(url.password or ""))
    elif options.certificate:
        login = pika.credentials.ExternalCredentials()
    else:
        raise DeclarationError(f"endpoint {endpoint}: url names no user and there is no certificate")
    return pika.ConnectionParameters(
        host=host,
        port=port or _PORTS[url.scheme],
        virtual_host=unquote(url.path[1:]) or "/",
        credentials=login,
        heartbeat=options.heartbeat,
        socket_timeout=options.timeout,
        stack_timeout=options.timeout,
        ssl_options=_tls(endpoint, url.scheme, host, options, ground),
        client_properties={"connection_name": f"eport {endpoint}"},
    )


def _safely(fault: Exception) -> str:
    """Why a secret or its URL cannot be used; urlsplit quotes the URL in its faults, so those words are not ours."""
    if isinstance(fault, OSError):
        return fault.strerror or type(fault).__name__
    ours = str(fault).startswith(("environment variable ", "a secret is written"))
    return str(fault) if ours else "cannot be read as a URL"


def _tls(endpoint: str, scheme: str, host: str, options: Options, ground: Ground) -> pika.SSLOptions | None:
    import pika

    if scheme == "amqp":
        if options.ca or options.certificate:
            raise DeclarationError(f"endpoint {endpoint}: ca and certificate need a url that begins with amqps:")
        return None
    try:
        context = ssl.create_default_context(cafile=ground.site / options.ca if options.ca else None)
        if options.certificate:
            context.load_cert_chain(ground.site / options.certificate)
    except OSError as fault:
        raise DeclarationError(f"endpoint {endpoint}: ca or certificate: {fault}") from fault
    return pika.SSLOptions(context, host)


class Link:
    """A connection with one channel, opened when needed and again after a failure. For one thread.

    ready    the channel can be used
    fault    why it cannot any more; the next `open` begins anew
    code     the broker's reply code when it was the channel that the broker closed, else 0
    blocked  why the broker takes no message now (an alarm of memory or disk), else ""
    """

    def __init__(self, parameters: pika.ConnectionParameters, timeout: float, prepare: Prepare) -> None:
        self.where = f"{parameters.host}:{parameters.port}"
        self._parameters = parameters
        self._timeout = timeout
        self._prepare = prepare
        self._loop: Any = None
        self._reset()

    def _reset(self) -> None:
        self._connection: Any = None
        self.channel: Any = None
        self.ready = False
        self.fault: AdapterError | None = None
        self.code = 0
        self.blocked = ""
        self._steps: deque[Step] = deque()
        self._until = 0.0
        self._look: Any = None
        self._asked = self._answered = 0

    @property
    def opening(self) -> bool:
        """True while a connection is under way and has not failed yet."""
        return self._connection is not None and self.fault is None and not self.ready

    @property
    def frame_max(self) -> int:
        """Bytes that one frame may have, as agreed with the broker."""
        return int(self._connection.params.frame_max)

    # ---- opening and closing

    def open(self, seconds: float) -> bool:
        """Be ready. False: not yet after `seconds`, a later call goes on. Raises Unreachable or Untrusted."""
        if self._connection is None or self.fault is not None:
            self.close()
            self._begin()
        self.wait(lambda: self.ready, min(seconds, self._until - time.monotonic()))
        if self.fault is None and not self.ready and time.monotonic() >= self._until:
            self.fail(Unreachable(f"{self.where}: no connection within {self._timeout:g} s"))
        if self.fault is not None:
            fault = self.fault
            self.close()
            raise fault
        return self.ready

    def _begin(self) -> None:
        from pika import SelectConnection
        from pika.adapters.select_connection import IOLoop

        self._until = time.monotonic() + self._timeout
        self._loop = IOLoop()
        self._loop.activate_poller()
        self._connection = SelectConnection(
            self._parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=lambda _, error: self.fail(self._told(error, opening=True)),
            on_close_callback=lambda _, error: self.fail(self._told(error)),
            custom_ioloop=self._loop,
        )

    def _on_open(self, connection: Any) -> None:
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(lambda *_: self._on_blocked())
        connection.channel(on_open_callback=self._on_channel)

    def _on_blocked(self, _: Any = None, frame: Any = None) -> None:
        self.blocked = str(frame.method.reason or "alarm") if frame is not None else ""

    def _on_channel(self, channel: Any) -> None:
        self.channel = channel
        channel.add_on_close_callback(self._on_channel_closed)
        self._steps = deque(self._prepare(channel))
        self._next()

    def _next(self, *_: object) -> None:
        if self._steps:
            self._steps.popleft()(self._next)
        else:
            self.ready = True

    def _on_channel_closed(self, _: Any, reason: Any) -> None:
        if self.fault is None:
            self.code = getattr(reason, "reply_code", 0)
            self.fail(self._told(reason))

    def fail(self, fault: AdapterError) -> None:
        """The connection is of no more use. The first fault is the one that is told."""
        self.fault = self.fault or fault
        self.ready = False

    def _told(self, error: BaseException, opening: bool = False) -> AdapterError:
        kind, words = described(error, opening)
        return kind(f"{self.where}: {words}")

    def close(self) -> None:
        """End the connection, at most FAREWELL seconds politely. The next `open` makes another."""
        if self._connection is None:
            return
        from pika import exceptions

        connection = self._connection
        if not (connection.is_closed or connection.is_closing):
            connection.close()
        self._turn(lambda: connection.is_closed, FAREWELL)
        if not connection.is_closed:
            connection._terminate_stream(exceptions.ConnectionOpenAborted("it did not end by itself"))
            self._turn(lambda: connection.is_closed, FAREWELL)
        self._loop.deactivate_poller()
        self._loop.close()
        self._reset()

    # ---- turning

    def wait(self, done: Callable[[], object], seconds: float) -> bool:
        """Let the connection work until `done`, a fault, or the end of the time. 0 looks once, without waiting."""
        if self._connection is not None and self.fault is None:
            self._turn(lambda: done() or self.fault, seconds)
        return self.fault is None and bool(done())

    def _turn(self, done: Callable[[], object], seconds: float) -> None:
        from pika import exceptions

        over: list[bool] = []
        timer = self._loop.call_later(max(0.0, seconds), lambda: over.append(True))
        try:
            while not (over or done()):
                self._loop.poll()
                self._loop.process_timeouts()
        except (exceptions.AMQPError, exceptions.ChannelError, OSError, ValueError, struct.error) as error:
            self.fail(self._told(error))
        except AssertionError as error:
            # How pika 1.3 and 1.4 end when a connection is given up while it opens; it is closed then.
            self.fail(self._told(error))
        finally:
            if not over:
                self._loop.remove_timeout(timer)

    def drain(self, enough: Callable[[], object], seconds: float) -> None:
        """Take in what has arrived, as long as there is more and it is not `enough`."""
        end = time.monotonic() + seconds
        seen = -1
        while self._connection is not None and self._connection.bytes_received != seen:
            seen = self._connection.bytes_received
            self.wait(lambda: False, 0)
            if self.fault is not None or enough() or time.monotonic() >= end:
                return

    # ---- asking

    def answers(self) -> bool:
        """True when the broker takes messages now, tried with one that goes nowhere.

        A broker with an alarm reads nothing more from a connection that publishes, and says so only after it has
        read the beginning of a message. What follows stays in its buffers and is carried out when the alarm ends,
        even if we hang up, so a real message would be in doubt. The message needs a body: one without is whole
        with its header, and is carried out. A refusal (no right to publish there) is an answer too."""
        self.wait(lambda: False, 0)
        if self.blocked or not self._looker():
            return False
        self._asked += 1
        self._look.basic_publish("", f"eport-nowhere-{uuid4().hex}", b"?")
        self._within(lambda: self.blocked or self._answered >= self._asked or self._look is None)
        return self.fault is None and not self.blocked

    def _within(self, done: Callable[[], object]) -> None:
        """Wait for an answer of the broker; none in time is a fault."""
        if not self.wait(done, self._timeout):
            self.fail(Unreachable(f"{self.where}: no answer within {self._timeout:g} s"))

    def _looker(self) -> bool:
        """A second channel in confirm mode, so that a refusal closes only that."""
        if self._look is not None or self.fault is not None:
            return self.fault is None
        ready: list[object] = []

        def opened(channel: Any) -> None:
            self._asked = self._answered = 0
            channel.confirm_delivery(self._on_answer, callback=ready.append)

        def closed(*_: object) -> None:
            self._look = None

        self._look = self._connection.channel(on_open_callback=opened)
        self._look.add_on_close_callback(closed)
        self._within(lambda: ready)
        return self.fault is None

    def _on_answer(self, frame: Any) -> None:
        self._answered = max(self._answered, frame.method.delivery_tag)


def described(error: BaseException, opening: bool) -> tuple[type[AdapterError], str]:
    """What a failed connection was: Untrusted when the broker is not who it should be or, while opening, does not
    speak TLS as it has to; else Unreachable. A handshake that was cut is neither: servers restart."""
    causes = list(_causes(error))
    words = next((f"{type(cause).__name__}: {cause}" for cause in reversed(causes) if str(cause)), repr(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Untrusted, str(cause)
        if opening and isinstance(cause, ssl.SSLError) and not isinstance(cause, _CUT):
            return Untrusted, str(cause)
    return Unreachable, words[:500]


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and everything that pika has wrapped into it."""
    yield error
    inner = [*error.args, *getattr(error, "exceptions", ()), getattr(error, "exception", None), error.__cause__]
    for one in inner:
        if isinstance(one, BaseException):
            yield from _causes(one)


def declaring(channel: Any, queue: str, arguments: dict[str, Any], told: Callable[[Any], None] | None = None) -> Step:
    """A step that declares a durable queue; `told` gets the broker's answer."""

    def step(done: Callable[..., None]) -> None:
        def answered(frame: Any) -> None:
            if told is not None:
                told(frame)
            done()

        channel.queue_declare(queue, durable=True, arguments=arguments, callback=answered)

    return step
