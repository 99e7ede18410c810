"""A small shop on Django, in one file, whose lists come from a running service.

    pip install 'liverec[client]' django
    LIVEREC_URL=http://127.0.0.1:8000 python examples/django_shop.py runserver 8080

A home page with a list for the visitor, a page for each product with what is like it, and a button that likes it: the
next home page knows. Where the service is away, the home page stays up without a list.
"""

from __future__ import annotations

import os
import secrets
import sys
import uuid

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template import engines
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

from liverec.client import Client, LiverecClientError, NotFound

PAGE = """<h1>{{ title }}</h1>
{% if liked_id %}<form method="post" action="/like?id={{ liked_id|urlencode:'' }}">{% csrf_token %}
<button>Like</button></form>{% endif %}
<ol>{% for item in items %}<li><a href="/product?id={{ item.item_id|urlencode:'' }}">
{% firstof item.metadata.title item.item_id %}</a></li>{% empty %}Nothing just now.{% endfor %}</ol>"""

settings.configure(
    SECRET_KEY=os.environ.get("SECRET_KEY") or secrets.token_urlsafe(),
    ALLOWED_HOSTS=["127.0.0.1", "localhost", "testserver"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
)
django.setup()

# One client for all threads: it keeps the connections open.
liverec = Client(
    os.environ.get("LIVEREC_URL", "http://127.0.0.1:8000"), api_key=os.environ.get("LIVEREC_API_KEY"), timeout=1.0
)


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """Show the list for the visitor."""
    try:
        answer = liverec.recommend(visitor_of(request), n=10, deadline_ms=200)
    except LiverecClientError:
        return page(request, title="For you")
    return page(request, title="For you", items=answer.items)


@require_GET
def product(request: HttpRequest) -> HttpResponse:
    """Show a product and what is like it; that it was looked at counts."""
    item_id = request.GET.get("id", "")
    try:
        item, similar = liverec.item(item_id), liverec.similar(item_id, n=5)
    except NotFound as error:
        raise Http404("no such product") from error
    liverec.feedback(visitor_of(request), item_id, "view")
    return page(request, title=item.metadata.get("title", item_id), items=similar.items, liked_id=item_id)


@require_POST
def like(request: HttpRequest) -> HttpResponse:
    """Like a product, and go home, where the list already knows."""
    liverec.feedback(visitor_of(request), request.GET["id"], "like")
    return redirect("/")


def visitor_of(request: HttpRequest) -> str:
    """Return the id of whoever asks, which the session keeps."""
    return str(request.session.setdefault("visitor", f"visitor-{uuid.uuid4().hex}"))


def page(request: HttpRequest, **values: object) -> HttpResponse:
    """Render the one page that this shop has."""
    return HttpResponse(engines["django"].from_string(PAGE).render(values, request))


urlpatterns = [path("", home), path("product", product), path("like", like)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
