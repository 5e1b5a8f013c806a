"""What the hit path takes for granted of uvicorn's HTTP/1.1 protocol, and whether the uvicorn that runs is like that.

A hit that is written ahead of ASGI passes by some of uvicorn's methods, so it has to do what they do. If one of them
begins to look after something else, that shows in the names that it uses.
"""

from collections.abc import Iterator
from inspect import signature
from operator import attrgetter
from types import CodeType
from typing import Any

from uvicorn.protocols.http import httptools_impl

ATTRIBUTES = {
    "HttpToolsProtocol": (
        "access_log app_state cycle flow headers loop parser pipeline server_state timeout_keep_alive "
        "timeout_keep_alive_task transport"
    ),
    "RequestResponseCycle": "disconnected keep_alive message_event more_body response_complete transport",
    "FlowControl": "write_paused",
    "ServerState": "default_headers total_requests",
}
"""What is there of each once it has been made."""

PARAMETERS = {
    "HttpToolsProtocol.__init__": "self config server_state app_state _loop",
    "HttpToolsProtocol.data_received": "self data",
    "HttpToolsProtocol.on_headers_complete": "self",
    "HttpToolsProtocol.on_message_begin": "self",
    "HttpToolsProtocol.on_message_complete": "self",
    "HttpToolsProtocol.on_response_complete": "self",
    "HttpToolsProtocol.send_400_response": "self msg",
    "HttpToolsProtocol.timeout_keep_alive_handler": "self",
}
"""What is called, or stood in for."""

NAMES = {
    "HttpToolsProtocol.data_received": (
        "HttpParserError HttpParserUpgrade _should_upgrade _unset_keepalive_if_required _unsupported_upgrade_warning "
        "feed_data handle_websocket_upgrade httptools logger parser send_400_response warning"
    ),
    "HttpToolsProtocol.on_message_begin": (
        "app_state asgi_version client copy expect_100_continue headers root_path scheme scope server url"
    ),
    "HttpToolsProtocol.on_url": "url",
    "HttpToolsProtocol.on_header": "append expect_100_continue headers lower",
    "HttpToolsProtocol.on_response_complete": (
        "_start_asgi_task _unset_keepalive_if_required call_later flow is_closing loop pipeline pop resume_reading "
        "server_state timeout_keep_alive timeout_keep_alive_handler timeout_keep_alive_task total_requests transport"
    ),
    "HttpToolsProtocol.on_headers_complete": (
        "Event RequestResponseCycle _should_upgrade _start_asgi_task access_log access_logger app appendleft asyncio "
        "connections cycle decode default_headers encode expect_100_continue flow get_http_version get_method "
        "httptools len limit_concurrency logger on_response_complete parse parse_url parser path pause_reading "
        "pipeline query response_complete root_path scope server_state service_unavailable should_keep_alive "
        "should_upgrade tasks transport unquote url urllib warning"
    ),
    "HttpToolsProtocol.on_message_complete": (
        "_should_upgrade cycle message_event more_body parser response_complete set should_upgrade"
    ),
    "HttpToolsProtocol.connection_lost": (
        "TRACE_LOG_LEVEL _unset_keepalive_if_required client close connections cycle discard disconnected flow level "
        "log logger message_event parser response_complete resume_writing set transport"
    ),
    "HttpToolsProtocol.shutdown": "close cycle keep_alive response_complete transport",
    "RequestResponseCycle.send": (
        "HEADER_RE HEADER_VALUE_RE RuntimeError STATUS_LINE access_log access_logger append chunked_encoding close "
        "decode default_headers disconnected drain expected_content_length extend flow get get_client_addr "
        "get_path_with_query_string info int join keep_alive len list lower message_event on_response "
        "response_complete response_started scope search set split strip transport waiting_for_100_continue write "
        "write_paused"
    ),
}
"""What a hit passes by, or what looks at the request that is being answered, with all names that each uses."""


def differences(implementation: Any = httptools_impl) -> list[str]:
    """Return in what uvicorn's `implementation` differs from the one that the hit path was made for."""
    return list(_differences(implementation))


def _differences(implementation: Any) -> Iterator[str]:
    for path, attributes in ATTRIBUTES.items():
        made = _find(implementation, f"{path}.__init__")
        for missing in sorted(set(attributes.split()) - _names(made)):
            yield f"{path} has no {missing}"
    for path, parameters in PARAMETERS.items():
        found = _find(implementation, path)
        if found is None or list(signature(found).parameters) != parameters.split():
            yield f"{path} takes other parameters"
    for path, names in NAMES.items():
        for name in sorted(_names(_find(implementation, path)) ^ set(names.split())):
            yield f"{path} differs in {name}"


def _find(implementation: Any, path: str) -> Any:
    try:
        return attrgetter(path)(implementation)
    except AttributeError:
        return None


def _names(function: Any) -> set[str]:
    def within(code: CodeType) -> set[str]:
        # Whether a comprehension is code of its own depends on the version of Python.
        inner = (within(constant) for constant in code.co_consts if isinstance(constant, CodeType))
        return set(code.co_names).union(*inner)

    return within(function.__code__) if hasattr(function, "__code__") else set()
