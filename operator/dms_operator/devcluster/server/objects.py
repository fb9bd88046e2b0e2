"""Requests about objects: one method a verb."""

from __future__ import annotations

from aiohttp import web

from dms_operator.devcluster import errors
from dms_operator.devcluster.registry import Registry, WriteOptions
from dms_operator.devcluster.registry.patching import APPLY_PATCH, MERGE_PATCH
from dms_operator.devcluster.representation import to_api
from dms_operator.devcluster.server import listing, logs, reviews, views
from dms_operator.devcluster.server.eviction import evict
from dms_operator.devcluster.server.negotiation import response_form
from dms_operator.devcluster.server.paths import Target
from dms_operator.devcluster.server.query import flag
from dms_operator.devcluster.server.requests import delete_options, read_object, read_patch, write_options
from dms_operator.devcluster.server.responses import JSON, json_response, raw, streamed
from dms_operator.devcluster.server.scale import replicas_patch, scale_of
from dms_operator.devcluster.server.watching import Watch


class ObjectPages:
    """Handlers of everything below a resource."""

    def __init__(self, registry: Registry, log_provider: logs.LogProvider | None) -> None:
        self._registry = registry
        self.log_provider = log_provider

    async def handle(self, request: web.Request, target: Target) -> web.StreamResponse:
        """Dispatch by verb; raises ApiError."""
        method = request.method
        if reviews.is_review(target):
            return await reviews.answer(request, target)
        if method in ("GET", "HEAD"):
            return await self._read(request, target)
        if method == "POST":
            return await self._create(request, target)
        if method == "PUT" and target.name:
            return await self._update(request, target)
        if method == "PATCH" and target.name:
            return await self._patch(request, target)
        if method == "DELETE" and not target.subresource:
            return await (self._delete(request, target) if target.name else self._delete_all(request, target))
        raise errors.method_not_allowed()

    async def _read(self, request: web.Request, target: Target) -> web.StreamResponse:
        watching = flag(request.query, "watch")
        if not target.name:
            return await self._watch(request, target) if watching else self._list(request, target)
        record = self._registry.record(target.info, target.namespace or "", target.name)
        if target.subresource == "log":
            container = logs.container_of(record.object, request.query.get("container", ""))
            if self.log_provider is None:
                raise errors.ApiError(503, "ServiceUnavailable", "no kubelet is running")
            return await logs.stream(request, self.log_provider, record.object, container)
        if target.subresource == "scale":
            return json_response(scale_of(target.info, record.object))
        form = response_form(request.headers.get("Accept", ""))
        shown = to_api(target.info, record.object)
        return raw(views.one(target.info, shown, form, request.query.get("includeObject", "Metadata")))

    def _list(self, request: web.Request, target: Target) -> web.Response:
        form = response_form(request.headers.get("Accept", ""))
        records, metadata = listing.page(self._registry.store, target.info, target.namespace, request.query)
        include = request.query.get("includeObject", "Metadata")
        return raw(views.many(target.info, records, metadata, form, include))

    async def _watch(self, request: web.Request, target: Target) -> web.StreamResponse:
        form = response_form(request.headers.get("Accept", ""))
        writer = views.EventWriter(target.info, form, request.query.get("includeObject", "Metadata"))
        watch = Watch(self._registry.store, target.info, target.namespace, request.query, writer)
        return await streamed(request, watch.chunks(), JSON)

    async def _create(self, request: web.Request, target: Target) -> web.Response:
        info, namespace = target.info, target.namespace or ""
        if target.subresource == "binding":
            return await self._bind(request, target)
        if target.subresource == "eviction":
            return await evict(self._registry, request, target)
        if target.subresource or (target.name and not info.custom):
            raise errors.method_not_allowed()
        if info.namespaced and target.namespace is None:
            raise errors.bad_request("an empty namespace may not be set during creation")
        options = write_options(request)
        created = self._registry.create(info, namespace, await read_object(request, info.kind), options)
        return self._written(request, target, created, 201, options)

    def _written(
        self, request: web.Request, target: Target, obj: views.Object, code: int, options: WriteOptions
    ) -> web.Response:
        form = response_form(request.headers.get("Accept", ""))
        return raw(views.one(target.info, obj, form), code, options.warnings)

    async def _bind(self, request: web.Request, target: Target) -> web.Response:
        body = await read_object(request, "Binding")
        patch = {"spec": {"nodeName": (body.get("target") or {}).get("name", "")}}
        self._registry.patch(target.info, target.namespace or "", target.name, patch, MERGE_PATCH)
        return json_response({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}, 201)

    async def _update(self, request: web.Request, target: Target) -> web.Response:
        info, namespace = target.info, target.namespace or ""
        options = write_options(request)
        body = await read_object(request, info.kind)
        if target.subresource == "scale":
            patch = replicas_patch(info, body)
            updated = self._registry.patch(info, namespace, target.name, patch, MERGE_PATCH, options)
            return json_response(scale_of(info, updated))
        if target.namespace is not None and isinstance(body.get("metadata"), dict):
            body["metadata"].setdefault("namespace", target.namespace)
        existed = self._registry.find(info, namespace, target.name) is not None
        updated = self._registry.update(info, namespace, target.name, body, options, target.subresource)
        return self._written(request, target, updated, 200 if existed else 201, options)

    async def _patch(self, request: web.Request, target: Target) -> web.Response:
        info, namespace = target.info, target.namespace or ""
        body, content_type = await read_patch(request)
        options = write_options(request, applying=content_type == APPLY_PATCH)
        if target.subresource == "scale":
            patch = replicas_patch(info, body)
            changed = self._registry.patch(info, namespace, target.name, patch, MERGE_PATCH, options)
            return json_response(scale_of(info, changed))
        if content_type == APPLY_PATCH:
            if not isinstance(body, dict):
                raise errors.bad_request("the body of an apply patch has to be an object")
            applied, created = self._registry.apply(info, namespace, target.name, body, options, target.subresource)
            return self._written(request, target, applied, 201 if created else 200, options)
        changed = self._registry.patch(info, namespace, target.name, body, content_type, options, target.subresource)
        return self._written(request, target, changed, 200, options)

    async def _delete(self, request: web.Request, target: Target) -> web.Response:
        options = await delete_options(request)
        result = self._registry.delete(target.info, target.namespace or "", target.name, options)
        form = response_form(request.headers.get("Accept", ""))
        text = views.one(target.info, result, form if result.get("kind") != "Status" else "Object")
        return raw(text, warnings=options.warnings)

    async def _delete_all(self, request: web.Request, target: Target) -> web.Response:
        if "deletecollection" not in target.info.verbs:
            raise errors.method_not_allowed()
        options = await delete_options(request)
        records, metadata = listing.page(self._registry.store, target.info, target.namespace, request.query)
        for record in records:
            about = record.object["metadata"]
            self._registry.delete(target.info, about.get("namespace", ""), about["name"], options)
        metadata["resourceVersion"] = str(self._registry.store.revision)
        return raw(views.many(target.info, records, metadata, "Object"), warnings=options.warnings)
